"""Faults on demand, so that a gateway's circuit breaker has something to open for."""

import time
from collections.abc import Callable
from collections.abc import Sequence as Seq
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from otel_llm.demo.engine.errors import ApiError


@dataclass(frozen=True)
class FailWindow:
    """A time in which every request is answered 503, in seconds since the engine was ready."""

    start_s: float
    end_s: float

    @classmethod
    def parse(cls, text: str) -> "FailWindow":
        """Read `START:END`.

        Raises:
            ValueError: not two numbers, or they do not describe a time to come.
        """
        start, _, end = text.partition(":")
        window = cls(float(start), float(end))
        if not 0 <= window.start_s < window.end_s:
            message = f"{text!r}: START:END must be seconds with 0 <= START < END"
            raise ValueError(message)
        return window


class FaultInjection:
    """ASGI middleware that answers 503 inside the windows.

    Args:
        app: the application.
        windows: when to fail; counted from the construction of this object.
        clock: seconds, monotonic.
    """

    def __init__(
        self, app: ASGIApp, windows: Seq[FailWindow], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._windows = windows
        self._clock = clock
        self._ready_s = clock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Fail inside a window, pass on outside of it."""
        if scope["type"] == "http" and self._failing():
            message = "The engine was told to fail now (--fail-window)."
            error = ApiError(503, message, code="fail_window", retry_after_s=1)
            await error.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _failing(self) -> bool:
        now = self._clock() - self._ready_s
        return any(window.start_s <= now < window.end_s for window in self._windows)
