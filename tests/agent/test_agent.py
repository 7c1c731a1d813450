"""The agent's loop over real journals: sinks away, full, refusing; disks full; journals hostile."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from otel_llm.agent.agent import Agent
from otel_llm.agent.database import Database
from otel_llm.agent.delivery import AwayError, RefusedError
from otel_llm.agent.spool import Batch, SinkName
from otel_llm.journal.layout import HEADER_BYTES
from otel_llm.journal.records import KIND_OF
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.recorder import Recorder
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock
from tests.agent.builders import arrived, call, call_started, done, finished, kernels, scheduled

SECOND = 1_000_000_000


class HeldSink:
    """Keeps what it takes; refuses or is away when told."""

    def __init__(self, name: SinkName) -> None:
        self.name = name
        self.error: Exception | None = None
        self.taken: list[Batch] = []

    def send(self, batch: Batch) -> int:
        """Take it, or raise."""
        if self.error is not None:
            raise self.error
        self.taken.append(batch)
        return 0

    def close(self) -> None:
        """Nothing to let go of."""

    @property
    def items(self) -> dict[str, int]:
        """Rows or spans taken, by target."""
        counts: dict[str, int] = {}
        for batch in self.taken:
            counts[batch.target] = counts.get(batch.target, 0) + batch.items
        return counts


class Bench:
    """An agent run by hand, over a directory of journals."""

    def __init__(self, settings: Settings, clock: FakeClock) -> None:
        self.settings = settings
        self.clock = clock
        self.rows, self.spans = HeldSink("clickhouse"), HeldSink("otlp")
        self.start()

    def start(self) -> None:
        """Start the agent, or the next one after a death."""
        self.database = Database(Path(self.settings.state_dir))
        self.agent = Agent(
            self.settings, self.database, (self.rows, self.spans), self.clock, "boot-1"
        )

    def kill(self) -> None:
        """The agent dies; a new one starts from what was saved."""
        self.database.close()
        self.agent._journals.close()
        self.start()

    def turn(self) -> None:
        """Read all there is, save, and let each sink have all that waits."""
        self.clock.advance(SECOND)
        while self.agent.cycle():
            pass
        self.agent.save()
        for delivery in self.agent._deliveries:
            while delivery.deliver_one():
                pass

    def value(self, name: str, **labels: str) -> float | None:
        """A metric's value."""
        return self.agent.metrics.set.registry.get_sample_value(name, labels)

    def lost(self, reason: str) -> float | None:
        """Facts lost for this reason."""
        return self.value("otel_llm_agent_lost_records_total", reason=reason)

    def engine(self, **changes: Any) -> Journal:  # noqa: ANN401  settings of all types
        """A new engine's journal."""
        return open_journal(
            kind="engine", service="svc", engine="reference", engine_version="1", model="tiny",
            settings=msgspec.structs.replace(self.settings, **changes), clock=self.clock,
        )  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path, clock: FakeClock) -> Iterator[Bench]:
    """A bench with small bounds."""
    made = Bench(
        Settings(
            journal_dir=str(tmp_path / "journals"),
            journal_bytes=1 << 20,
            state_dir=str(tmp_path / "state"),
            step_span_ratio=0.0,
            dead_journal_keep_s=60.0,
        ),
        clock,
    )
    yield made
    made.agent._journals.close()
    made.database.close()


def die(journal: Journal) -> None:
    """The writer is killed: its lock goes, nothing is said."""
    ring = journal._ring
    assert ring is not None
    ring.abandon()
    journal._ring = None


def serve(journal: Journal, first: int = 1, count: int = 1) -> None:
    """Write whole requests, one step each."""
    for index in range(first, first + count):
        for record in (
            arrived(index), scheduled(index, 3, (index,)), done(index), finished(index),
        ):  # fmt: skip
            journal.write(record)


ALL = {"llm_requests": 1, "llm_steps": 1, "llm_engine_events": 1}


def test_one_request(bench: Bench) -> None:
    """Rows and spans of what one engine wrote arrive."""
    serve(bench.engine())
    bench.turn()
    assert (bench.rows.items, bench.spans.items) == (ALL, {"traces": 4})
    assert bench.value("otel_llm_agent_delivered_total", sink="otlp") == 4
    assert bench.value("otel_llm_agent_journals") == 1


def test_a_sink_away_never_stops_reading(bench: Bench) -> None:
    """Each sink catches up when it comes back, and neither waits for the other."""
    journal = bench.engine()
    bench.rows.error = AwayError("unreachable", "gone")
    for index in range(1, 6):
        serve(journal, index)
        bench.turn()
    assert (bench.rows.items, bench.spans.items) == ({}, {"traces": 20})
    assert (bench.value("otel_llm_agent_spool_bytes", sink="clickhouse") or 0) > 0
    failures = bench.value(
        "otel_llm_agent_delivery_failures_total", sink="clickhouse", reason="unreachable"
    )
    assert failures == 5
    bench.rows.error = None
    bench.turn()
    assert bench.rows.items == {"llm_requests": 5, "llm_steps": 5, "llm_engine_events": 1}
    bench.agent.cycle()
    assert bench.value("otel_llm_agent_spool_bytes", sink="clickhouse") == 0
    assert bench.lost("spool_full") == 0


def test_past_the_spool_the_oldest_goes(bench: Bench) -> None:
    """A sink away for too long costs the oldest rows, and every one of them is counted."""
    bench.settings = msgspec.structs.replace(bench.settings, spool_bytes=60_000)
    bench.kill()
    journal = bench.engine()
    bench.rows.error = AwayError("unreachable", "gone")
    for index in range(1, 31):
        serve(journal, index)
        bench.turn()
    bench.rows.error = None
    bench.turn()
    arrived_rows = sum(bench.rows.items.values())
    assert arrived_rows < 61
    assert bench.lost("spool_full") == 61 - arrived_rows
    newest = [batch for batch in bench.rows.taken if batch.target == "llm_requests"][-1]
    assert b"req-30" in newest.body


def test_refused_for_good(bench: Bench) -> None:
    """What a sink refuses is counted, and what comes after it is delivered."""
    journal = bench.engine()
    bench.rows.error = RefusedError("answered 400")
    serve(journal, 1)
    bench.turn()
    bench.rows.error = None
    serve(journal, 2)
    bench.turn()
    assert bench.lost("refused") == 3
    assert bench.rows.items == {"llm_requests": 1, "llm_steps": 1}


def test_killed_before_and_after_a_save(bench: Bench) -> None:
    """A new agent goes on from what was saved: open requests included, nothing twice."""
    journal = bench.engine()
    journal.write(arrived(1))
    journal.write(scheduled(1))
    bench.turn()
    journal.write(done(1))
    journal.write(kernels(1))
    bench.agent.cycle()
    bench.kill()
    bench.turn()
    bench.kill()
    journal.write(finished(1))
    bench.turn()
    bench.kill()
    bench.turn()
    assert bench.rows.items == {**ALL, "llm_kernels": 3}
    assert bench.value("otel_llm_agent_records_total", kind="StepKernels") == 0
    assert bench.spans.items == {"traces": 4}


def test_engine_killed(bench: Bench) -> None:
    """A dead engine is read out once; what was in flight becomes rows; its journal goes later."""
    journal = bench.engine()
    serve(journal, 1)
    for record in (arrived(2), scheduled(2, 9, (2,))):
        journal.write(record)
    [file] = Path(bench.settings.journal_dir).glob("engine-*.journal")
    bench.turn()
    assert bench.value("otel_llm_requests_open", service="svc") == 1
    die(journal)
    bench.turn()
    assert bench.rows.items == {"llm_requests": 2, "llm_steps": 2, "llm_engine_events": 2}
    assert bench.value("otel_llm_engine_deaths_total", service="svc") == 1
    assert bench.value("otel_llm_agent_journals") == 0
    assert bench.value("otel_llm_requests_open", service="svc") == 0
    bench.kill()
    bench.turn()
    assert file.exists()
    bench.clock.advance(61 * SECOND)
    bench.turn()
    assert not file.exists()
    bench.turn()
    with bench.database.transaction() as connection:
        assert connection.execute("SELECT * FROM journals").fetchall() == []
        assert connection.execute("SELECT * FROM open_facts").fetchall() == []
    assert sum(bench.rows.items.values()) == 6


def test_a_journal_that_we_may_not_remove(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays, is named once, and is never read out a second time."""

    def refuse(_path: Path, *, missing_ok: bool) -> None:
        raise PermissionError(13, f"Permission denied, {missing_ok}")

    serve(bench.engine())
    journal = bench.engine()
    serve(journal)
    journal.close()
    monkeypatch.setattr(Path, "unlink", refuse)
    for _ in range(4):
        bench.turn()
        bench.clock.advance(61 * SECOND)
    bench.kill()
    bench.turn()
    assert bench.rows.items["llm_requests"] == 2
    messages = [record.getMessage() for record in caplog.records]
    assert len([text for text in messages if "cannot be removed" in text]) == 2


def test_killed_between_an_engines_death_and_the_save(bench: Bench) -> None:
    """The journal of a dead engine is kept until what it held is safe."""
    journal = bench.engine()
    serve(journal, 1)
    die(journal)
    while bench.agent.cycle():
        pass
    bench.kill()
    bench.turn()
    bench.turn()
    assert bench.rows.items == {"llm_requests": 1, "llm_steps": 1, "llm_engine_events": 2}


def test_a_journal_that_went_away(bench: Bench) -> None:
    """What was open in a journal whose file is gone becomes rows that say so."""
    journal = bench.engine()
    journal.write(arrived(1))
    bench.turn()
    [file] = Path(bench.settings.journal_dir).glob("engine-*.journal")
    die(journal)
    bench.agent._journals.close()
    file.unlink()
    bench.kill()
    bench.turn()
    assert bench.rows.items == {"llm_requests": 1, "llm_engine_events": 2}
    bench.kill()
    bench.turn()
    assert sum(bench.rows.items.values()) == 3


def test_a_header_with_hostile_values(bench: Bench) -> None:
    """What a journal says of its writer is mended and counted like any record."""
    journal = open_journal(
        kind="engine", service="s" * 300, engine="reference", engine_version="1",
        dp_rank=1 << 40, settings=bench.settings, clock=bench.clock,
    )  # fmt: skip
    serve(journal)
    bench.turn()
    assert bench.rows.items == ALL
    assert bench.value("otel_llm_malformed_total", what="tokens") == 1


def test_gateway_killed(bench: Bench) -> None:
    """Calls in flight at a dead gateway become rows."""
    journal = open_journal(
        kind="gateway", service="edge", engine="otel-llm", engine_version="1",
        settings=bench.settings, clock=bench.clock,
    )  # fmt: skip
    journal.write(call_started("c1"))
    journal.write(call_started("c2"))
    journal.write(call("c1"))
    die(journal)
    bench.turn()
    bench.turn()
    assert bench.rows.items == {"llm_gateway_calls": 2, "llm_engine_events": 2}


def test_state_cannot_be_written(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """On a full disk the agent holds what it read, says so once, and goes on when there is room."""
    journal = bench.engine()
    serve(journal)
    with bench.database.transaction() as connection:
        [[pages]] = connection.execute("PRAGMA page_count").fetchall()
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    bench.turn()
    bench.turn()
    assert bench.rows.items == {}
    assert (bench.value("otel_llm_agent_state_failures_total") or 0) >= 2
    assert [record.getMessage().count("cannot be written") for record in caplog.records] == [1]
    serve(journal, 2)
    with bench.database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000000").fetchall()
    bench.turn()
    assert bench.rows.items == {"llm_requests": 2, "llm_steps": 2, "llm_engine_events": 1}
    assert all(bench.lost(reason) == 0 for reason in ("overwritten", "state_full", "spool_full"))


def test_memory_is_bounded_while_state_cannot_be_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the bound journals are left unread; what their rings overwrite meanwhile is counted."""
    monkeypatch.setattr("otel_llm.agent.agent.MAX_PENDING", 100)
    with bench.database.transaction() as connection:
        [[pages]] = connection.execute("PRAGMA page_count").fetchall()
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    journal = bench.engine(journal_bytes=65_536)
    serve(journal, 1, 60)
    bench.turn()
    held = len(bench.agent._pending)
    assert held >= 100
    serve(journal, 61, 500)
    bench.turn()
    assert len(bench.agent._pending) == held
    with bench.database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000000").fetchall()
    bench.turn()
    bench.turn()
    assert (bench.lost("overwritten") or 0) > 0
    assert bench.rows.items["llm_requests"] > 60


def test_overwritten(bench: Bench) -> None:
    """Records that the ring overwrote before they were read are counted."""
    journal = bench.engine(journal_bytes=65_536)
    journal.write(arrived(1))
    bench.turn()
    serve(journal, 2, 400)
    journal.write(finished(1))
    bench.turn()
    assert (bench.lost("overwritten") or 0) > 0
    [first] = [b for b in bench.rows.taken if b.target == "llm_requests"]
    assert first.items > 1


def test_corrupt(bench: Bench) -> None:
    """Damage in the ring is counted, and reading goes on behind it."""
    journal = bench.engine()
    serve(journal, 1, 3)
    [file] = Path(bench.settings.journal_dir).glob("engine-*.journal")
    with file.open("r+b") as stream:
        stream.seek(HEADER_BYTES + 200)
        stream.write(b"\xff" * 64)
    bench.turn()
    serve(journal, 4)
    bench.turn()
    assert (bench.lost("corrupt") or 0) > 0
    assert any(b"req-4" in batch.body for batch in bench.rows.taken)


def test_undecodable(bench: Bench) -> None:
    """A whole record with impossible content, or text that is no UTF-8, is counted."""
    journal = bench.engine()
    ring = journal._ring
    assert ring is not None
    whole = msgspec.msgpack.encode(arrived(1, request_id="name"))
    ring.append(KIND_OF[type(arrived())], whole.replace(b"name", b"\xff\xfe\xfd\xfc"))
    ring.append(99, b"what the future holds")
    journal.write(arrived(-5))
    bench.turn()
    assert bench.lost("undecodable") == 3
    assert bench.value("otel_llm_malformed_total", what="tokens") == 1


def test_dropped_by_the_writer(bench: Bench) -> None:
    """What the writer could not write, and what its hooks swallowed, is counted once."""
    journal = bench.engine(journal_bytes=65_536)
    journal.write(arrived(1, request_id="x" * 60_000))
    journal.count_swallowed()
    bench.turn()
    bench.turn()
    assert bench.lost("dropped_by_writer") == 1
    assert bench.value("otel_llm_swallowed_errors_total", service="svc") == 1
    bench.kill()
    bench.turn()
    assert bench.lost("dropped_by_writer") == 0


def test_too_many_open(bench: Bench) -> None:
    """Requests beyond the bound are counted."""
    bench.settings = msgspec.structs.replace(bench.settings, max_open_requests=3)
    bench.kill()
    journal = bench.engine()
    for index in range(1, 6):
        journal.write(arrived(index))
    bench.turn()
    assert bench.lost("state_full") == 2
    assert bench.value("otel_llm_requests_open", service="svc") == 3


def _foreign(directory: Path) -> list[Path]:
    names = [f"engine-{digit * 32}.journal" for digit in "abcde"]
    short, foreign, link, pipe, folder = (directory / name for name in names)
    short.write_bytes(b"OT")
    foreign.write_bytes(os.urandom(20_000))
    link.symlink_to("/dev/zero")
    os.mkfifo(pipe)
    folder.mkdir()
    return [short, foreign, link, pipe, folder]


def test_what_is_no_journal(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Short, foreign, linked and odd files are counted and named once, and never removed."""
    serve(bench.engine())
    files = _foreign(Path(bench.settings.journal_dir))
    bench.turn()
    bench.turn()
    assert bench.value("otel_llm_malformed_total", what="journal") == 5
    assert len([1 for record in caplog.records if "not read" in record.getMessage()]) == 5
    assert bench.rows.items == ALL
    assert all(os.path.lexists(file) for file in files)


def test_a_copied_journal(bench: Bench) -> None:
    """A copy under another name would double every fact; it is not read."""
    serve(bench.engine())
    directory = Path(bench.settings.journal_dir)
    [file] = directory.glob("engine-*.journal")
    (directory / f"engine-{'0' * 32}.journal").write_bytes(file.read_bytes())
    bench.turn()
    assert bench.rows.items == ALL
    assert bench.value("otel_llm_malformed_total", what="journal") == 1


def test_a_journal_cut_short(bench: Bench) -> None:
    """A file that somebody truncates while it is read does the agent no harm."""
    journal = bench.engine()
    serve(journal)
    bench.turn()
    [file] = Path(bench.settings.journal_dir).glob("engine-*.journal")
    os.truncate(file, 100)
    bench.turn()
    die(journal)
    bench.turn()
    bench.turn()
    assert bench.rows.items == {**ALL, "llm_engine_events": 2}


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


def test_two_engines(bench: Bench) -> None:
    """Journals come and go; each is read from its own cursor."""
    first = bench.engine()
    serve(first, 1)
    bench.turn()
    second = bench.engine()
    serve(second, 1, 2)
    serve(first, 2)
    bench.turn()
    first.close()
    bench.turn()
    assert bench.rows.items == {"llm_requests": 4, "llm_steps": 4, "llm_engine_events": 3}
    assert bench.value("otel_llm_agent_journals") == 1


def test_latency_of_a_quiet_agent(bench: Bench) -> None:
    """What is read is saved at the next save that is due, not when something else comes."""
    serve(bench.engine())
    bench.agent.cycle()
    bench.clock.advance(SECOND)
    bench.agent.cycle()
    assert bench.agent._spool.sizes["clickhouse"] > 0
    assert not bench.agent._pending
