"""Windows in which the engine answers 503."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from otel_llm.demo.engine.faults import FailWindow, FaultInjection


async def fine(_: Request) -> PlainTextResponse:
    """An endpoint that works."""
    return PlainTextResponse("fine")


async def test_it_fails_inside_its_windows_only() -> None:
    """503 with Retry-After from a window's start until its end, counted from readiness."""
    now = [100.0]
    app = FaultInjection(
        Starlette(routes=[Route("/", fine)]),
        [FailWindow(2, 3), FailWindow(5, 6)],
        clock=lambda: now[0],
    )
    transport = httpx.ASGITransport(app)
    seen = []
    async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
        for now[0] in (101.9, 102.0, 102.9, 103.0, 105.5, 106.0):
            response = await client.get("/")
            seen.append((response.status_code, response.headers.get("retry-after")))
    assert seen == [(200, None), (503, "1"), (503, "1"), (200, None), (503, "1"), (200, None)]


def test_a_window_is_read_from_text() -> None:
    """`START:END` in seconds."""
    assert FailWindow.parse("1.5:20") == FailWindow(1.5, 20.0)


@pytest.mark.parametrize("text", ["", "3", "5:2", "-1:4", "a:b", "1:1", "nan:2"])
def test_a_wrong_window_is_refused(text: str) -> None:
    """Not two numbers, or not in order."""
    with pytest.raises(ValueError, match=r"START:END|could not convert"):
        FailWindow.parse(text)
