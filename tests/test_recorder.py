"""The recorder: what an engine calls, and what then stands in the journal."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from otel_llm.clock import Anchor, Clock, MonotonicNs
from otel_llm.facts import (
    PHASE_DECODE,
    PHASE_PREFILL,
    RequestArrived,
    RequestFinished,
    StepDone,
    StepKernels,
    StepScheduled,
)
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.journal.records import Record
from otel_llm.recorder import Recorder, RequestHandle
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock, Swallowed


@pytest.fixture
def recorder(tmp_path: Path, clock: FakeClock) -> Iterator[Recorder]:
    """A recorder with a small journal and a clock that stands still."""
    settings = Settings(journal_dir=str(tmp_path / "j"), journal_bytes=65536)
    with_journal = Recorder.open(
        engine="toy", engine_version="0.1", model="tiny", settings=settings, clock=clock
    )
    yield with_journal
    with_journal.close()


@pytest.fixture
def reader(recorder: Recorder, tmp_path: Path) -> Iterator[JournalReader]:
    """Reads that recorder's journal."""
    assert recorder.journal.producer.engine == "toy"
    opened = JournalReader.open(scan(tmp_path / "j")[0])
    yield opened
    opened.close()


def facts(reader: JournalReader) -> list[Record]:
    """New records but for anchors."""
    return [record for record in reader.read() if not isinstance(record, Anchor)]


def arrive(recorder: Recorder, **changes: Any) -> RequestHandle:  # noqa: ANN401
    """Report a request."""
    values: dict[str, Any] = {
        "request_id": "r-1",
        "api_request_id": "a-1",
        "operation": "chat",
        "model": "tiny",
        "prompt_tokens": 7,
    }
    return recorder.request_arrived(**(values | changes))


def test_a_request_from_arrival_to_end(
    recorder: Recorder, reader: JournalReader, clock: FakeClock
) -> None:
    """Every stamp and count that the engine reports stands in the two request facts."""
    handle = arrive(recorder, max_tokens=5, sample_index=1, sample_count=2, traceparent="00-ab")
    start = clock.monotonic_ns()
    events: list[Callable[[], None]] = [
        handle.queued,
        lambda: handle.scheduled(cached_tokens=4),
        handle.preempted,
        handle.preempted,
        lambda: handle.resumed(cached_tokens=2),
        lambda: handle.recomputed(9),
        lambda: handle.recomputed(1),
        lambda: handle.rejected(3),
        lambda: handle.rejected(1),
        lambda: handle.discarded(2),
        lambda: handle.discarded(5),
        handle.first_token,
        handle.first_output,
    ]
    for event in events:
        clock.advance(10)
        event()
    clock.advance(10)
    last = clock.monotonic_ns()
    clock.advance(10)
    handle.finished(
        outcome="finished",
        finish_reason="stop",
        output_tokens=3,
        last_token_ns=last,
        unscheduled_tokens=6,
    )
    assert facts(reader) == [
        RequestArrived(1, "r-1", "a-1", "chat", "tiny", start, 7, 5, 1, 2, traceparent="00-ab"),
        RequestFinished(
            1,
            "finished",
            "stop",
            MonotonicNs(start + 150),
            queued_ns=MonotonicNs(start + 10),
            scheduled_ns=MonotonicNs(start + 20),
            first_token_ns=MonotonicNs(start + 120),
            first_output_ns=MonotonicNs(start + 130),
            last_token_ns=MonotonicNs(start + 140),
            cached_tokens=6,
            output_tokens=3,
            recomputed_tokens=10,
            preemptions=2,
            rejected_tokens=4,
            discarded_tokens=7,
            unscheduled_tokens=6,
        ),
    ]


def test_the_first_of_each_event_counts(
    recorder: Recorder, reader: JournalReader, clock: FakeClock
) -> None:
    """Queue, schedule, first token and first output keep their first stamp."""
    handle = arrive(recorder)
    start = clock.monotonic_ns()
    for _ in range(2):
        handle.queued()
        handle.scheduled(cached_tokens=clock.monotonic_ns() - start)
        handle.first_token()
        handle.first_output()
        clock.advance(5)
    handle.finished(outcome="finished", finish_reason="stop", output_tokens=1)
    finished = facts(reader)[-1]
    assert isinstance(finished, RequestFinished)
    assert {
        finished.queued_ns, finished.scheduled_ns, finished.first_token_ns, finished.first_output_ns
    } == {start}  # fmt: skip
    assert finished.cached_tokens == 0


def test_given_stamps_are_kept(recorder: Recorder, reader: JournalReader) -> None:
    """An engine that has its own stamps gives them, and the present moment is not used."""
    handle = arrive(recorder, arrival_ns=MonotonicNs(0))
    handle.queued(MonotonicNs(1))
    handle.scheduled(at_ns=MonotonicNs(2))
    handle.first_token(MonotonicNs(3))
    handle.first_output(MonotonicNs(4))
    handle.finished(
        outcome="cancelled", finish_reason="abort", output_tokens=0, at_ns=MonotonicNs(5)
    )
    seq = recorder.step_scheduled(
        request_index=[], phase=b"", tokens=[], context=[], at_ns=MonotonicNs(6)
    )
    recorder.step_done(seq, at_ns=MonotonicNs(7))
    arrived, finished, scheduled, done = facts(reader)
    assert isinstance(arrived, RequestArrived)
    assert arrived.arrival_ns == 0
    assert isinstance(finished, RequestFinished)
    assert (
        finished.queued_ns, finished.scheduled_ns, finished.first_token_ns,
        finished.first_output_ns, finished.finished_ns,
    ) == (1, 2, 3, 4, 5)  # fmt: skip
    assert isinstance(scheduled, StepScheduled)
    assert scheduled.schedule_ns == 6
    assert isinstance(done, StepDone)
    assert done.result_ns == 7


def test_stale_stamps_do_not_stop_the_anchors(
    recorder: Recorder, reader: JournalReader, clock: FakeClock
) -> None:
    """Anchors follow the clock, whatever stamps the engine gives."""
    for _ in range(3):
        recorder.step_done(1, at_ns=MonotonicNs(1))
        clock.advance(1_000_000_000)
    assert [type(record) for record in reader.read()] == [Anchor, StepDone] * 3


def test_finished_exactly_once(recorder: Recorder, reader: JournalReader) -> None:
    """However many threads end a request, one end is written."""
    for _ in range(50):
        handle = arrive(recorder)
        barrier = threading.Barrier(3)

        def end(handle: RequestHandle = handle, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            handle.finished(outcome="cancelled", finish_reason="abort", output_tokens=0)

        threads = [threading.Thread(target=end) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ends = [record.index for record in facts(reader) if isinstance(record, RequestFinished)]
    assert ends == list(range(1, 51))


def test_a_step(recorder: Recorder, reader: JournalReader, clock: FakeClock) -> None:
    """A step is two records under one number; phases may be given as ints."""
    seq = recorder.step_scheduled(
        request_index=[3, 4],
        phase=[PHASE_PREFILL, PHASE_DECODE],
        tokens=[64, 1],
        context=[0, 90],
        running=2,
        waiting=5,
        kv_used=10,
        kv_total=100,
    )
    at = clock.monotonic_ns()
    clock.advance(1000)
    recorder.step_done(seq, [0, 1], execute_ns=800)
    assert facts(reader) == [
        StepScheduled(1, at, [3, 4], b"\0\1", [64, 1], [0, 90], 2, 5, 10, 100),
        StepDone(1, MonotonicNs(at + 1000), [0, 1], 800),
    ]
    assert recorder.step_scheduled(request_index=[], phase=b"", tokens=[], context=[]) == 2


def test_kernels(recorder: Recorder, reader: JournalReader) -> None:
    """Kernel starts become offsets from the first; no kernels, no record."""
    recorder.kernels(
        7,
        source="cpu",
        device="cpu:0",
        names=["gemm", "softmax"],
        name_index=[0, 1, 0],
        start_ns=[100, 130, 160],
        duration_ns=[20, 5, 20],
    )
    recorder.kernels(
        8, source="cpu", device="cpu:0", names=[], name_index=[], start_ns=[], duration_ns=[]
    )
    assert facts(reader) == [
        StepKernels(
            7, "cpu", "cpu:0", ["gemm", "softmax"], [0, 1, 0], MonotonicNs(100), [0, 30, 60],
            [20, 5, 20],
        )
    ]  # fmt: skip


def test_strange_text_costs_no_record(recorder: Recorder, reader: JournalReader) -> None:
    """Ids that are not UTF-8 are written with question marks in place of what cannot be."""
    arrive(recorder, request_id="r\udcff", traceparent="\ud800", api_request_id="ä").finished(
        outcome="failed", finish_reason="error", output_tokens=0, error_type="E\udc00"
    )
    arrived, finished = facts(reader)
    assert isinstance(arrived, RequestArrived)
    assert (arrived.request_id, arrived.traceparent, arrived.api_request_id) == ("r?", "?", "ä")
    assert isinstance(finished, RequestFinished)
    assert finished.error_type == "E?"


def test_misuse_is_swallowed_and_counted(
    recorder: Recorder, reader: JournalReader, swallowed: Swallowed
) -> None:
    """Arrays of different lengths and values of wrong types cost a count, never an exception."""
    assert recorder.step_scheduled(request_index=[1], phase=b"", tokens=[1], context=[1]) == 1
    recorder.kernels(
        1, source="cpu", device="d", names=["a"], name_index=[0], start_ns=[], duration_ns=[1]
    )
    handle = arrive(recorder, request_id=cast("str", None))
    handle.recomputed(cast("int", "many"))
    handle.finished(outcome="failed", finish_reason=cast("str", 5), output_tokens=0)
    assert swallowed.places == [
        "recorder.step_scheduled", "recorder.kernels", "recorder.request_arrived",
        "recorder.request", "recorder.request",
    ]  # fmt: skip
    assert reader.counters.swallowed == 5
    assert facts(reader) == []
    swallowed.clear()


def test_a_broken_clock_is_swallowed(tmp_path: Path, swallowed: Swallowed) -> None:
    """Whatever fails inside a hook stays there; the host gets its handle and its number."""

    class Broken(Clock):
        def monotonic_ns(self) -> MonotonicNs:
            raise OSError

    settings = Settings(journal_dir=str(tmp_path / "j"), journal_bytes=65536)
    recorder = Recorder.open(engine="e", engine_version="1", settings=settings, clock=Broken())
    handle = arrive(recorder)
    handle.queued()
    handle.scheduled()
    handle.first_token()
    handle.first_output()
    handle.finished(outcome="finished", finish_reason="stop", output_tokens=0)
    seq = recorder.step_scheduled(request_index=[], phase=b"", tokens=[], context=[])
    recorder.step_done(seq)
    assert (handle.index, seq) == (1, 1)
    assert len(swallowed) == 8
    swallowed.clear()
    recorder.close()


def test_without_a_journal_everything_does_nothing(tmp_path: Path) -> None:
    """A disabled recorder takes the same calls and gives numbers all the same."""
    settings = Settings(enabled=False, journal_dir=str(tmp_path / "none"))
    recorder = Recorder.open(engine="e", engine_version="1", settings=settings)
    handle = arrive(recorder)
    handle.finished(outcome="finished", finish_reason="stop", output_tokens=0)
    assert recorder.step_scheduled(request_index=[1], phase=b"0", tokens=[1], context=[1]) == 1
    recorder.close()
    assert list(tmp_path.iterdir()) == []


anything = st.one_of(
    st.none(), st.integers(), st.text(), st.binary(), st.floats(), st.lists(st.integers()),
)  # fmt: skip


@example_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(values=st.lists(anything, min_size=9, max_size=9))
def test_no_argument_raises(tmp_path: Path, swallowed: Swallowed, values: list[Any]) -> None:
    """No value of any argument makes a hook raise."""
    settings = Settings(journal_dir=str(tmp_path / "j"), journal_bytes=65536)
    recorder = Recorder.open(engine="e", engine_version="1", settings=settings)
    a, b, c, d, e, f, g, h, i = values
    handle = recorder.request_arrived(
        request_id=a,
        api_request_id=b,
        operation=c,
        model=d,
        prompt_tokens=e,
        max_tokens=f,
        sample_index=g,
        traceparent=h,
        arrival_ns=i,
    )
    handle.queued(a)
    handle.scheduled(b, c)
    handle.recomputed(d)
    handle.resumed(e)
    handle.rejected(f)
    handle.discarded(g)
    handle.finished(outcome=a, finish_reason=b, output_tokens=c, error_type=d, at_ns=e)
    recorder.step_scheduled(request_index=a, phase=b, tokens=c, context=d, running=e, at_ns=f)
    recorder.step_done(a, b, c, d)
    recorder.kernels(a, source=b, device=c, names=d, name_index=e, start_ns=f, duration_ns=g)
    recorder.close()
    swallowed.clear()
