"""`docs/gateway.md`: its code runs, and its tables name every field."""

import re
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from otel_llm.context import parse_tenant
from otel_llm.facts.gateway import Attempt, GatewayCall, GatewayCallStarted
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader

GUIDE = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text(encoding="utf-8")


async def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's code instruments a gateway: a call through it leaves a call and an attempt."""
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(tmp_path / "journals"))
    monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", str(1 << 20))
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/gateway.md", "exec"), names)
    seen: list[httpx.Request] = []

    def engine(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"usage": {"completion_tokens": 5}})

    await names["client"].aclose()
    names["client"] = httpx.AsyncClient(
        transport=httpx.MockTransport(engine), base_url="http://engine-a:8000"
    )
    transport = httpx.ASGITransport(names["app"])
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", follow_redirects=True
    ) as client:
        answer = await client.post("/v1/chat/completions", json={"model": "m"})
        assert answer.json() == {"usage": {"completion_tokens": 5}}
        assert "otel_llm_gateway_calls_total" in (await client.get("/metrics")).text
    await names["client"].aclose()
    names["gateway"].undo()
    (path,) = scan(tmp_path / "journals")
    reader = JournalReader.open(path)
    facts = reader.read()
    reader.close()
    (call,) = [fact for fact in facts if isinstance(fact, GatewayCall)]
    (attempt,) = [fact for fact in facts if isinstance(fact, Attempt)]
    assert (call.outcome, call.model, call.output_tokens) == ("finished", "m", 5)
    assert attempt.span_id in seen[0].headers["traceparent"]
    tag = parse_tenant(seen[0].headers["tracestate"])
    assert tag is not None
    assert tag.attempt == 1


@pytest.mark.parametrize("fact", [GatewayCallStarted, GatewayCall, Attempt])
def test_every_field_is_named(fact: type[msgspec.Struct]) -> None:
    """No field of a fact is missing in the guide's section of it."""
    start = GUIDE.index(f"`{fact.__name__}`, ")
    section = GUIDE[start:].split("\n\n`")[0]
    for name in fact.__struct_fields__:
        assert f"`{name}`" in section, name
