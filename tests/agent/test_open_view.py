"""What is in flight, as the page shows it."""

import pytest

from otel_llm.journal.writer import open_journal
from otel_llm.recorder import Recorder
from tests.agent.bench import Bench
from tests.agent.builders import arrived, call_started


def test_open_view(bench: Bench) -> None:
    """What is in flight, with age, phase and tokens so far."""
    recorder = Recorder(bench.engine(), bench.clock)
    handle = recorder.request_arrived(
        request_id="r1", api_request_id="a1", operation="chat", model="", prompt_tokens=9,
        tracestate="otelllm=t:acme",
    )  # fmt: skip
    gateway = open_journal(
        kind="gateway", service="edge", engine="otel-llm", engine_version="1",
        settings=bench.settings, clock=bench.clock,
    )  # fmt: skip
    gateway.write(call_started("c1"))
    bench.turn()
    view = bench.agent.open_view()
    [request], [one] = view["requests"], view["calls"]
    assert (view["requests_open"], view["calls_open"]) == (1, 1)
    assert (one["call_id"], one["tenant"], one["age_s"]) == ("c1", "acme", 1.0)
    assert request == {
        "request_id": "r1", "request_index": 1,
        "instance_id": recorder.journal.producer.instance_id,
        "service": "svc", "model": "tiny", "trace_id": request["trace_id"], "tenant": "acme",
        "age_s": 1.0, "phase": "queue", "prompt_tokens": 9, "output_tokens": 0,
        "incomplete": False,
    }  # fmt: skip
    phases: list[tuple[str, int]] = []
    for phase, emitted in ((b"\0", 1), (b"\1", 2)):
        step = recorder.step_scheduled(
            request_index=[handle.index], phase=phase, tokens=[9], context=[0]
        )
        recorder.step_done(step, emitted=[emitted])
        bench.turn()
        [request] = bench.agent.open_view()["requests"]
        phases.append((request["phase"], request["output_tokens"]))
    assert phases == [("prefill", 1), ("decode", 3)]


def test_many_open(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are shown, all are counted."""
    monkeypatch.setattr("otel_llm.agent.open_view.MAX_SHOWN", 2)
    journal = bench.engine()
    for index in (1, 2, 3):
        journal.write(arrived(index, -index))
    bench.turn()
    view = bench.agent.open_view()
    assert view["requests_open"] == 3
    assert [request["request_index"] for request in view["requests"]] == [3, 2]
