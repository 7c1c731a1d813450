"""From spool to table: once, in spite of failures, damage, and what the store never takes."""

import logging
import os
import threading
from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otel_llm.collector.decoder import Window, check
from otel_llm.collector.drain import batch as batches
from otel_llm.collector.drain import drainer
from otel_llm.collector.drain.quarantine import Quarantine, read_request
from otel_llm.collector.spool import Entry, entry_of
from otel_llm.exporters.clickhouse.engine import Engine, Handle
from otel_llm.exporters.clickhouse.errors import EngineError
from tests.collector.doors.test_http import request_of, span_of
from tests.collector.drain.way import DAY_NS, Way, body_of, names, over_days
from tests.waiting import PATIENCE_S

SECRET = "what the user typed"


def test_requests_of_a_segment_become_one_block(way: Way, engine: Engine) -> None:
    """Many requests, one part; the segment is gone and rows are counted."""
    way.fill(*(body_of(f"s{n}") for n in range(5)))
    way.drain()
    assert names(engine) == ["s0", "s1", "s2", "s3", "s4"]
    with engine.session() as handle:
        parts = "SELECT count() FROM system.parts WHERE table = 'otel_traces' AND active"
        assert handle.run(parts) == b"1\n"
    assert list(way.directory.glob("*.segment")) == []
    assert way.store.rows["otel_traces"] == 5


def test_a_request_is_decoded_as_it_was_taken(way: Way, engine: Engine) -> None:
    """What the door left out for its time stays out, whatever the time is when it is stored."""
    body = request_of(span_of(name="kept"), span_of(name="old", start_time_unix_nano=DAY_NS))
    window = Window(2 * DAY_NS, 2**63 - 1)
    way.spool.offer(entry_of("traces", body, check("traces", body, window), window)).result(10)
    way.spool.close()
    way.drain()
    assert names(engine) == ["kept"]


def test_a_segment_that_is_stored_again_changes_nothing(way: Way, engine: Engine) -> None:
    """Killed after the insert and before the segment is removed: neither table nor view doubles."""
    path = way.fill(body_of("a"), body_of("b"))
    kept = path.read_bytes()
    way.drain()
    for _ in range(2):
        path.write_bytes(kept)
        way = way.again()
        way.drain()
    assert names(engine) == ["a", "b"]
    assert len(names(engine, "otel_traces_trace_id_ts", "TraceId")) == 2


def test_segments_with_the_same_rows_are_both_stored(way: Way, engine: Engine) -> None:
    """Blocks are known by where they come from: other requests may give the same rows."""
    unknown_field = b"\xf8\x01\x01"
    body = body_of("same")
    for sent in (body, body + unknown_field):
        way.fill(sent)
        way.drain()
        way = way.again()
    assert names(engine) == ["same", "same"]


def test_an_attribute_of_ten_megabytes_is_stored(way: Way, engine: Engine) -> None:
    """Beside others, in the same segment."""
    large = KeyValue(key="k", value=AnyValue(string_value="x" * 10_000_000))
    way.fill(body_of("a"), body_of("large", attributes=[large]), body_of("z"))
    way.drain()
    assert names(engine, column="length(SpanAttributes['k'])") == ["0", "0", "10000000"]


def test_a_store_that_fails_is_tried_again(
    way: Way, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is removed and nothing set aside while the store is away."""

    def full(*_args: object) -> int:
        raise EngineError(243, "no space left", "NOT_ENOUGH_SPACE")

    path = way.fill(body_of("a"))
    with monkeypatch.context() as patch:
        patch.setattr(Handle, "insert", full)
        with pytest.raises(EngineError):
            way.drain()
    assert path.exists()
    assert way.set_aside == []
    way.drain()
    assert names(engine) == ["a"]


@pytest.mark.parametrize("at", range(5))
def test_what_is_refused_for_ever_is_set_aside(
    way: Way, engine: Engine, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever it stands in the segment, the others are stored; it can be looked at later."""
    bodies = [body_of(f"s{n}") for n in range(4)]
    bodies.insert(at, over_days(SECRET, 150))
    way.fill(*bodies)
    way.drain()
    assert names(engine) == ["s0", "s1", "s2", "s3"]
    [kept] = way.set_aside
    batch, table = read_request(kept)
    assert (batch.bodies(), table) == ([bodies[at]], "otel_traces")
    assert way.store.dropped["otel_traces"] == 150
    assert way.store.rows["otel_traces"] == 4
    assert "is set aside" in caplog.text
    assert SECRET not in caplog.text
    assert sorted(path.suffix for path in way.directory.iterdir() if path.is_file()) == [""]


def test_requests_that_are_too_many_together_are_stored_apart(way: Way, engine: Engine) -> None:
    """Two requests of 80 days each: the block is refused, its halves are not."""
    way.fill(over_days("a", 80), request_of(span_of(name="b", start_time_unix_nano=DAY_NS)))
    way.drain()
    assert len(names(engine)) == 81
    way = way.again()
    way.fill(over_days("c", 80), body_of("d"), over_days("e", 30, 19_000))
    way.drain()
    assert len(names(engine)) == 81 + 111
    assert way.set_aside == []


@pytest.mark.parametrize("stored", range(3))
def test_halves_are_the_same_after_a_kill(
    way: Way, engine: Engine, monkeypatch: pytest.MonkeyPatch, stored: int
) -> None:
    """The whole was refused, some halves are stored; then the whole would be taken: no double."""
    path = way.fill(*(over_days(f"s{n}", 40, 18_000 + 40 * n) for n in range(4)))
    insert, done = Handle.insert, 0

    def killed_later(self: Handle, statement: str, fmt: str, data: bytes) -> int:
        nonlocal done
        if done == stored:
            raise EngineError(236, "aborted", "ABORTED")
        rows = insert(self, statement, fmt, data)
        done += 1
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(Handle, "insert", killed_later)
        if stored < 2:
            with pytest.raises(EngineError):
                way.drain()
            assert path.exists()
        else:
            way.drain()

    def generous(self: Handle, statement: str, fmt: str, data: bytes) -> int:
        self.set({"max_partitions_per_insert_block": "0"})
        return insert(self, statement, fmt, data)

    monkeypatch.setattr(Handle, "insert", generous)
    way = way.again()
    way.drain()
    assert len(names(engine)) == 160
    assert len(names(engine, "otel_traces_trace_id_ts", "TraceId")) == 160


def test_marks_do_not_outlive_their_segment(way: Way) -> None:
    """Killed between the two: the next start removes what is left, and keeps what is needed."""
    path = way.fill(body_of("a"))
    needed, orphan = path.with_suffix(".refused"), way.directory / "0-gone.refused"
    needed.touch()
    orphan.touch()
    way.again().spool.close()
    assert needed.exists()
    assert not orphan.exists()


def test_damage_is_set_aside_and_the_rest_stored(way: Way, engine: Engine) -> None:
    """A record that rotted costs itself alone, is counted once, and can be looked at."""
    bodies = [body_of(name) for name in ("a", "b", "c")]
    path = way.fill(*bodies)
    data = bytearray(path.read_bytes())
    size = len(data) // 3
    data[size + 100] ^= 1
    path.write_bytes(data)
    way = way.again()
    way.drain()
    assert names(engine) == ["a", "c"]
    assert way.drainer.damaged == 1
    assert [kept.read_bytes() for kept in way.set_aside] == [bytes(data[size : 2 * size])]


def test_a_torn_end_is_cut(way: Way, engine: Engine) -> None:
    """Killed while writing: the whole records are stored, the torn one was never acknowledged."""
    path = way.fill(body_of("a"), body_of("b"))
    os.truncate(path, path.stat().st_size - 7)
    way = way.again()
    way.drain()
    assert names(engine) == ["a"]
    assert (way.drainer.damaged, way.set_aside, way.spool.size) == (0, [], 0)


def test_batches_are_bounded_and_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut by the size of the rows and by signal, and named by place; one too large stands alone."""
    monkeypatch.setattr(batches, "BATCH_BYTES", 100)
    entries = [Entry("traces", 1, size, bytes(16), b"") for size in (40, 40, 40, 500, 40, 60, 1)]
    entries.insert(1, Entry("logs", 1, 10, bytes(16), b""))
    for _ in range(2):
        made = [batch.name for batch in batches.batches("s", entries)]
        assert made == [
            "s/traces/0-1", "s/traces/2-2", "s/traces/3-3", "s/traces/4-5", "s/traces/6-6",
            "s/logs/0-0",
        ]  # fmt: skip


def test_batches_are_bounded_by_what_comes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that make no rows take memory while they are decoded: a batch has few of them."""
    monkeypatch.setattr(batches, "BATCH_BYTES", 100)
    entries = [Entry("traces", 1, 1, bytes(16), bytes(40)) for _ in range(5)]
    made = [len(batch.entries) for batch in batches.batches("s", entries)]
    assert made == [2, 2, 1]


def test_the_quarantine_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its size the oldest go, and the newest stays whatever its size."""
    monkeypatch.setattr("otel_llm.collector.drain.quarantine.MOST_BYTES", 250)
    quarantine = Quarantine(tmp_path)
    for number in range(5):
        os.utime(quarantine.keep_bytes(f"n/{number}", bytes(100)), (number, number))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.3.damaged", "n.4.damaged"]
    quarantine.keep_bytes("large", bytes(1000))
    assert [path.name for path in tmp_path.iterdir()] == ["large.damaged"]


def test_the_thread_goes_on_after_failures(
    way: Way, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It tries again until the store takes it, says so, counts, and ends when told to."""
    insert, tries = Handle.insert, 0

    def fails_twice(self: Handle, statement: str, fmt: str, data: bytes) -> int:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise EngineError(241, SECRET, "MEMORY_LIMIT_EXCEEDED")
        return insert(self, statement, fmt, data)

    monkeypatch.setattr(Handle, "insert", fails_twice)
    caplog.set_level(logging.WARNING)
    way.fill(body_of("a"))
    way.drainer.start()
    assert way.drainer.finish(20)
    assert names(engine) == ["a"]
    assert way.drainer.failures == 2
    assert SECRET not in caplog.text


def test_a_stop_does_not_wait_for_a_store_that_is_away(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left stays on disk for the next start."""

    def full(*_args: object) -> int:
        raise EngineError(243, "no space left", "NOT_ENOUGH_SPACE")

    monkeypatch.setattr(Handle, "insert", full)
    path = way.fill(body_of("a"))
    way.drainer.start()
    assert not way.drainer.finish(0.3)
    assert path.exists()


def test_a_stop_does_not_wait_for_a_block_that_takes_too_long(
    way: Way, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and left to the next start; the thread does not hold the process up."""
    at_work, let_go = threading.Event(), threading.Event()

    def endless(*_args: object) -> int:
        at_work.set()
        assert let_go.wait(2 * PATIENCE_S)
        raise EngineError(236, "aborted", "ABORTED")

    monkeypatch.setattr(Handle, "insert", endless)
    monkeypatch.setattr(drainer, "_LAST_S", 0.2)
    path = way.fill(body_of("a"))
    way.drainer.start()
    try:
        assert at_work.wait(PATIENCE_S)
        assert not way.drainer.finish(0.2)
        assert not way.drainer.worker.ended.done()
        assert path.exists()
        assert "takes too long" in caplog.text
    finally:
        let_go.set()
        assert way.drainer.worker.join(PATIENCE_S)


def test_a_segment_that_is_gone_is_a_counted_loss(
    way: Way, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody removed its file: the next ones are stored, and nothing of it stays counted."""
    way.fill(body_of("a")).unlink()
    way.drain()
    assert (way.drainer.lost, way.spool.size) == (1, 0)
    assert "is lost" in caplog.text
    way = way.again()
    way.fill(body_of("b"))
    way.drain()
    assert names(engine) == ["b"]
