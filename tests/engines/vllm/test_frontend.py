"""The API server's half of a request: one record at its end, whatever that end is."""

import asyncio
import gc
import os
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from otel_llm.engines.vllm import instrument
from otel_llm.engines.vllm.frontend import HALVES, Frontend
from otel_llm.engines.vllm.identity import take
from otel_llm.facts.request import RequestDelivered
from otel_llm.journal import directory
from otel_llm.journal.reader import JournalReader
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock, Swallowed
from tests.engines.vllm.api_server import (
    AsyncLLM,
    LLMEngine,
    Output,
    OutputProcessor,
    Request,
)
from tests.engines.vllm.conftest import Delivered
from tests.engines.vllm.deliveries import deliveries

MS = 1_000_000
pytestmark = pytest.mark.usefixtures("frontend")
TRACE = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "tracestate": "otelllm=t"}


def at(clock: FakeClock, ago_ms: int = 0) -> float:
    """A wall stamp as vLLM takes them, in seconds."""
    return (clock.anchor().wall_ns - ago_ms * MS) / 1e9


def add(processor: OutputProcessor, name: str, clock: FakeClock, **more: Any) -> Request:  # noqa: ANN401
    """Let a request in that vLLM began to render 2 ms ago."""
    request = Request(name, more.pop("external", "cmpl-X-0"), at(clock, 2), **more)
    processor.add_request(request, None, None, 0)
    return request


def test_a_whole_life(clock: FakeClock, delivered: Delivered) -> None:
    """Arrival is when vLLM began to render; first output and end are when outputs came in."""
    processor = OutputProcessor()
    arrival = clock.monotonic_ns() - 2 * MS
    request = add(processor, "r", clock, trace_headers=TRACE)
    clock.advance(10 * MS)
    first = clock.monotonic_ns()
    processor.process_outputs([Output("r", [1])])
    assert "make_request_output" not in vars(processor.request_states["r"])
    clock.advance(5 * MS)
    processor.process_outputs([Output("r", [2])])
    clock.advance(5 * MS)
    processor.process_outputs([Output("r", [3, 4], "length")])
    assert delivered() == {
        "r": RequestDelivered(
            request_id="r",
            api_request_id="cmpl-X",
            operation="text_completion",
            model="",
            arrival_ns=delivered()["r"].arrival_ns,
            finished_ns=clock.monotonic_ns(),
            outcome="finished",
            finish_reason="length",
            prompt_tokens=3,
            output_tokens=4,
            first_output_ns=first,
            max_tokens=8,
            traceparent=TRACE["traceparent"],
            tracestate=TRACE["tracestate"],
        )
    }
    # A wall stamp is a float: it has some hundred nanoseconds of room.
    assert abs(delivered()["r"].arrival_ns - arrival) < 1000
    origin, headers = take(request.trace_headers)
    assert (headers, origin and origin.api_request_id) == (TRACE, "cmpl-X")


def test_the_core_is_told_who_will_deliver(clock: FakeClock, settings: Settings) -> None:
    """The member names the journal in which the record will be."""
    origin, _ = take(add(OutputProcessor(), "r", clock).trace_headers)
    (path,) = directory.scan(Path(settings.journal_dir))
    reader = JournalReader.open(path)
    assert origin is not None
    assert origin.frontend == reader.producer.instance_id
    reader.close()


def test_no_journal() -> None:
    """Where there is no room for a journal, the core is told that nobody will deliver."""
    off = Settings(enabled=False)
    frontend = Frontend(
        lambda model: open_journal(
            kind="frontend",
            service="s",
            engine="vllm",
            engine_version="",
            model=model,
            settings=off,
        )
    )
    halves = frontend.of(OutputProcessor())
    assert halves is not None
    half = halves.prepare(Request("r", "cmpl-X-0"), None, 0)
    assert half is not None
    assert (half.origin.frontend, half.origin.api_request_id) == ("", "cmpl-X")


def test_one_reading_for_many(clock: FakeClock, delivered: Delivered) -> None:
    """Outputs that come in chunks have the time of their own chunk."""
    processor = OutputProcessor()
    for name in "abc":
        add(processor, name, clock)
    stamps = []
    for chunk in (["a", "b"], ["c"]):
        clock.advance(MS)
        stamps.append(clock.monotonic_ns())
        processor.process_outputs([Output(one, [1], "stop") for one in chunk])
    found = delivered()
    assert [found[name].finished_ns for name in "abc"] == [stamps[0], stamps[0], stamps[1]]
    assert [found[name].first_output_ns for name in "abc"] == [stamps[0], stamps[0], stamps[1]]


def test_gone_before_the_first_output(clock: FakeClock, delivered: Delivered) -> None:
    """The end that vLLM makes up for an abort is no first output."""
    processor = OutputProcessor()
    add(processor, "r", clock)
    add(processor, "p", clock, pooling_params=SimpleNamespace(task="embed"), sampling_params=None)
    state = processor.request_states["r"]
    assert processor.abort_requests(["r", "p", "nobody"], internal=True) == ["r", "p"]
    for one in delivered().values():
        assert (one.outcome, one.finish_reason, one.first_output_ns) == ("cancelled", "abort", None)
        assert one.output_tokens == 0
    assert "make_request_output" not in vars(state)


def test_gone_while_it_streams(clock: FakeClock, delivered: Delivered) -> None:
    """What was handed on until then counts; outputs that come later change nothing."""
    processor = OutputProcessor()
    add(processor, "r", clock)
    processor.process_outputs([Output("r", [1, 2])])
    clock.advance(MS)
    processor.abort_requests(["r"], internal=True)
    processor.process_outputs([Output("r", [3])])
    processor.abort_requests(["r"], internal=True)
    (one,) = delivered().values()
    assert (one.outcome, one.output_tokens) == ("cancelled", 2)
    assert one.finished_ns == clock.monotonic_ns()
    assert one.first_output_ns == clock.monotonic_ns() - MS


def test_several_samples(delivered: Delivered) -> None:
    """Each sample has its record; given up by their parent's id, all that are open end."""

    async def serve() -> AsyncLLM:
        engine = AsyncLLM("base")
        await engine.add_request("cmpl-X-0", None, SimpleNamespace(n=3, max_tokens=4))
        return engine

    engine = asyncio.run(serve())
    names = [one.request_id for one in engine.sent]
    engine.output_processor.process_outputs([Output(names[1], [1], "stop")])
    engine.output_processor.abort_requests(["cmpl-X-0-0f"], internal=True)
    found = delivered()
    assert [found[name].sample_index for name in names] == [0, 1, 2]
    assert {one.sample_count for one in found.values()} == {3}
    assert {one.api_request_id for one in found.values()} == {"cmpl-X"}
    assert {one.model for one in found.values()} == {"base"}
    assert [found[name].outcome for name in names] == ["cancelled", "finished", "cancelled"]


def test_beams(clock: FakeClock, delivered: Delivered) -> None:
    """A beam is a sample of its call; vLLM asks for twice as many log-probabilities as beams."""
    processor = OutputProcessor()
    params = SimpleNamespace(max_tokens=1, logprobs=8)
    external = "cmpl-X-0123456789abcdef-beam-2"
    add(processor, "r", clock, external=external, sampling_params=params)
    processor.process_outputs([Output("r", [1], "length")])
    (one,) = delivered().values()
    assert (one.api_request_id, one.sample_index, one.sample_count) == ("cmpl-X", 2, 4)


def test_pooling_and_adapter(delivered: Delivered) -> None:
    """A pooling request puts out no tokens; an adapter is the model asked for."""
    engine = LLMEngine("base")
    adapter = SimpleNamespace(lora_name="mine")
    name = engine.add_request("0", None, SimpleNamespace(task="embed"), lora_request=adapter)
    engine.output_processor.process_outputs([Output(name, [], "stop", object())])
    (one,) = delivered().values()
    assert (one.operation, one.output_tokens, one.max_tokens) == ("embeddings", 0, None)
    assert (one.model, one.lora) == ("mine", "mine")
    assert one.first_output_ns == one.finished_ns


def test_stop_string(clock: FakeClock, delivered: Delivered) -> None:
    """For the caller a stop string ends a request by `stop`, while the core is told to abort it."""
    processor = OutputProcessor()
    add(processor, "r", clock)
    assert processor.process_outputs([Output("r", [1], "stop", stop_string=True)]) == ["r"]
    (one,) = delivered().values()
    assert (one.outcome, one.finish_reason) == ("finished", "stop")


@pytest.mark.parametrize(
    ("reason", "outcome", "error"),
    [("error", "failed", "GenerationError"), ("abort", "cancelled", None)],
)
def test_ended_by_the_core(
    clock: FakeClock, delivered: Delivered, reason: str, outcome: str, error: str | None
) -> None:
    """An error or an abort that comes from the core has nothing to hand on."""
    processor = OutputProcessor()
    add(processor, "r", clock)
    add(processor, "p", clock, pooling_params=SimpleNamespace(task="embed"), sampling_params=None)
    processor.process_outputs([Output("r", [], reason), Output("p", [], reason, object())])
    for one in delivered().values():
        assert (one.outcome, one.finish_reason, one.error_type) == (outcome, reason, error)
        assert one.first_output_ns is None


def test_refused_on_arrival(clock: FakeClock, delivered: Delivered) -> None:
    """A request that the core refuses fails with the class of what its caller gets."""

    class RetryableRequestError(Exception): ...

    processor = OutputProcessor()
    add(processor, "r", clock)
    error = SimpleNamespace(to_exception=RetryableRequestError)
    processor.process_outputs([Output("r", [], "error", error=error)])
    (one,) = delivered().values()
    assert (one.outcome, one.error_type) == ("failed", "RetryableRequestError")


def test_the_engine_dies(clock: FakeClock, delivered: Delivered) -> None:
    """Every open request fails, with the class of the error; what vLLM aborts after is not new."""

    class EngineDeadError(Exception): ...

    processor = OutputProcessor()
    for name in "ab":
        add(processor, name, clock)
    processor.process_outputs([Output("a", [1])])
    processor.propagate_error(EngineDeadError("secret"))
    processor.abort_requests(["a", "b"], internal=True)
    found = delivered()
    assert {one.error_type for one in found.values()} == {"EngineDeadError"}
    assert {one.finish_reason for one in found.values()} == {"error"}
    assert [found[name].output_tokens for name in "ab"] == [1, 0]


def test_the_output_processor_fails(
    clock: FakeClock, delivered: Delivered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What vLLM raises passes; the request that it was ending has failed, the others are open."""

    def fail(*_: object) -> None:
        message = "secret"
        raise AssertionError(message)

    processor = OutputProcessor()
    for name in "ab":
        add(processor, name, clock)
    monkeypatch.setattr(processor, "_update_stats_from_finished", fail)
    with pytest.raises(AssertionError, match="secret"):
        processor.process_outputs([Output("a", [1], "stop")])
    (one,) = delivered().values()
    assert (one.request_id, one.outcome, one.error_type) == ("a", "failed", "AssertionError")


def test_a_session_of_streamed_input(clock: FakeClock, delivered: Delivered) -> None:
    """More input belongs to the same request; the caller's last word ends it."""
    processor = OutputProcessor()
    first = add(processor, "s", clock, resumable=True, trace_headers=TRACE)
    processor.process_outputs([Output("s", [1], "stop")])
    more = add(processor, "s", clock, resumable=True)
    assert take(more.trace_headers) == take(first.trace_headers)
    processor.process_outputs([Output("s", [2], "length")])
    clock.advance(MS)
    assert delivered() == {}
    add(processor, "s", clock)
    (one,) = delivered().values()
    assert (one.outcome, one.finish_reason) == ("finished", "stream_finished")
    assert (one.output_tokens, one.finished_ns) == (2, clock.monotonic_ns())


def test_a_session_that_ends_computing(clock: FakeClock, delivered: Delivered) -> None:
    """The last word before the last answer: the answer's own reason counts."""
    processor = OutputProcessor()
    add(processor, "s", clock, resumable=True)
    add(processor, "s", clock)
    processor.process_outputs([Output("s", [1], "length")])
    (one,) = delivered().values()
    assert one.finish_reason == "length"


def test_opened_early(settings: Settings) -> None:
    """The journal is there when the engine is: no request waits for it. It names the model."""
    engine = LLMEngine("base")
    (path,) = directory.scan(Path(settings.journal_dir))
    reader = JournalReader.open(path)
    assert (reader.producer.kind, reader.producer.model) == ("frontend", "base")
    reader.close()
    assert HALVES in vars(engine.output_processor)


def test_two_engines_in_one_process(delivered: Delivered) -> None:
    """They share the journal; a request knows its own model, also where ids collide."""
    engines = [LLMEngine("a"), LLMEngine("b")]
    for engine in engines:
        engine.add_request("same", None, None)
    engines[0].output_processor.process_outputs([Output("same-0f", [1], "stop")])
    (one,) = delivered().values()
    assert one.model == "a"
    assert "same-0f" in engines[1].output_processor.request_states


def test_after_a_fork(settings: Settings) -> None:
    """A child writes a journal of its own, and tells the core of that one."""
    engine = LLMEngine()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            engine.add_request("0", None, None)
            origin, _ = take(engine.sent[0].trace_headers)
            engine.output_processor.process_outputs([Output("0-0f", [1], "stop")])
            names = [path.stem for path in directory.scan(Path(settings.journal_dir))]
            status = 0 if origin and f"frontend-{origin.frontend}" in names else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert set(deliveries(Path(settings.journal_dir))) == {"0-0f"}
    assert len(directory.scan(Path(settings.journal_dir))) == 2


@pytest.mark.parametrize("child", [False, True])
def test_shutdown(monkeypatch: pytest.MonkeyPatch, settings: Settings, child: bool) -> None:
    """One of several API servers is a child that ends without `atexit`: its journal closes."""

    def clean() -> bool:
        readers = [JournalReader.open(one) for one in directory.scan(Path(settings.journal_dir))]
        found = [reader.counters.clean_close for reader in readers]
        for reader in readers:
            reader.close()
        return all(found)

    parent = SimpleNamespace() if child else None
    monkeypatch.setattr("multiprocessing.parent_process", lambda: parent)
    first, second = AsyncLLM(), AsyncLLM()
    first.shutdown()
    first.shutdown()
    assert not clean(), "the second engine still writes"
    second.shutdown()
    assert clean() is child
    AsyncLLM()
    assert len(directory.scan(Path(settings.journal_dir))) == 1 + child


def test_nothing_is_kept(clock: FakeClock) -> None:
    """An engine that is gone is gone, with whatever was open in it."""
    processor = OutputProcessor()
    add(processor, "r", clock)
    gone = weakref.ref(processor)
    state = weakref.ref(processor.request_states["r"])
    del processor
    gc.collect()
    assert (gone(), state()) == (None, None)


def test_closed(frontend: Frontend, clock: FakeClock, delivered: Delivered) -> None:
    """Once closed, our attributes are gone and the hooks that are left do nothing."""
    processor = OutputProcessor()
    add(processor, "r", clock)
    state = processor.request_states["r"]
    frontend.close()
    assert HALVES not in vars(processor)
    assert "make_request_output" not in vars(state)
    processor.process_outputs([Output("r", [1], "stop")])
    engine = LLMEngine()
    engine.add_request("0", None, None, trace_headers=TRACE)
    assert engine.sent[0].trace_headers == TRACE
    engine.output_processor.process_outputs([Output("0-0f", [1], "stop")])
    assert delivered() == {}


def test_a_closed_one_patches_nothing_more() -> None:
    """A hook that is left in place after the undo does not put others in."""
    looked: list[str] = []

    def no_journal(_model: str) -> Journal:
        raise AssertionError

    frontend = Frontend(no_journal, lambda: looked.append("again"))
    frontend.close()
    frontend.attach(LLMEngine())
    assert not looked


@pytest.mark.parametrize(
    "method", ["prepare", "opened", "now", "let_go", "finished", "aborted", "failed"]
)
def test_a_hook_that_raises(
    frontend: Frontend,
    settings: Settings,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    swallowed: Swallowed,
    method: str,
) -> None:
    """Whichever part of a hook fails: vLLM hands on the same, and the loss is counted."""

    def live(processor: OutputProcessor) -> object:
        for name in "abc":
            add(processor, name, clock)
        processor.process_outputs([Output("a", [1]), Output("b", [1], "stop")])
        processor.abort_requests(["a"], internal=True)
        processor.propagate_error(error)
        return processor.delivered

    def fail(*_: object, **__: object) -> None:
        message = "on purpose"
        raise RuntimeError(message)

    error = RuntimeError("of vLLM")
    expected = live(OutputProcessor())
    processor = OutputProcessor()
    monkeypatch.setattr(frontend.of(processor), method, fail)
    assert live(processor) == expected
    assert set(swallowed.places) == {"vllm.frontend"}
    count = len(swallowed)
    swallowed.clear()
    reader = JournalReader.open(directory.scan(Path(settings.journal_dir))[0])
    assert reader.counters.swallowed == count
    reader.close()


def test_a_fork_while_another_thread_works(frontend: Frontend) -> None:
    """The child's locks are free, whoever held the parent's."""
    with frontend._lock, instrument._lock:
        child = os.fork()
        if child == 0:
            free = frontend._lock.acquire(timeout=5) and _from_another_thread(instrument._lock)
            os._exit(0 if free else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _from_another_thread(lock: Any) -> bool:  # noqa: ANN401  an RLock
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(lock.acquire(timeout=5)))
    thread.start()
    thread.join()
    return taken == [True]
