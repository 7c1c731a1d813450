"""The agent over the journals of an engine's core and its API server."""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from otel_llm.journal.writer import Journal
from tests.agent.bench import SECOND, Bench, die
from tests.agent.builders import arrived, at, delivered, done, finished, scheduled


class Engine:
    """A core and its API server, each with a journal."""

    def __init__(self, bench: Bench) -> None:
        self.core, self.frontend = bench.engine(), bench.frontend()
        self.frontend_id = instance_of(self.frontend)

    def run(self, index: int) -> None:
        """The core serves a request of the API server."""
        self.arrive(index)
        self.core.write(scheduled(index, 3, (index,)))
        self.core.write(done(index))
        self.core.write(finished(index, first_output_ns=None))

    def arrive(self, index: int) -> None:
        """The core takes in a request of the API server."""
        self.core.write(arrived(index, frontend=self.frontend_id))

    def deliver(self, index: int, **changes: object) -> None:
        """The API server lets go of it."""
        self.frontend.write(delivered(index, 0, **changes))


def instance_of(journal: Journal) -> str:
    """The instance id of a journal's writer."""
    return journal.producer.instance_id


@pytest.fixture
def engine(bench: Bench) -> Engine:
    """An engine in two processes."""
    return Engine(bench)


def rows(bench: Bench, table: str = "llm_requests") -> list[dict[str, Any]]:
    """Rows delivered, by request id."""
    found: list[dict[str, Any]] = []
    for batch in bench.rows.taken:
        if batch.target == table:
            found += pa.ipc.open_stream(batch.body).read_all().to_pylist()
    return found


def test_one_request_of_two_halves(bench: Bench, engine: Engine) -> None:
    """It becomes one row: the API server's times and outcome, the core's stamps and tokens."""
    engine.run(1)
    bench.turn()
    assert rows(bench) == []
    engine.deliver(1, finish_reason="length")
    bench.turn()
    [row] = rows(bench)
    assert row["finish_reason"] == "length"
    assert (row["output_tokens"], row["delivered_tokens"]) == (5, 3)
    assert (row["instance_id"], row["request_index"]) == (instance_of(engine.core), 1)
    assert row["first_output"].value - row["arrival"].value == at(10) - at(-0.5)
    assert not row["incomplete"]
    assert bench.spans.items == {"traces": 6}
    for kind in ("engine", "frontend"):
        name = "otel_llm_agent_unpaired_requests_total"
        assert bench.value(name, service_name="svc", half=kind) == 0


def test_the_agent_may_die_at_any_point(bench: Bench, engine: Engine) -> None:
    """Killed between any two records, saved or not, it loses and doubles no request."""
    for index in (1, 2):
        for write in (engine.run, engine.deliver):
            write(index)
            for saves in (False, True):
                while bench.agent.cycle():
                    pass
                if saves:
                    bench.agent.save()
                bench.kill()
    bench.turn()
    found = rows(bench)
    assert [row["request_id"] for row in found] == ["req-1", "req-2"]
    assert [row["incomplete"] for row in found] == [False, False]
    assert bench.rows.items["llm_steps"] == 2


def test_a_half_held_through_a_death(bench: Bench, engine: Engine) -> None:
    """Each half may be the one that was saved when the agent died."""
    engine.run(1)
    engine.deliver(2)
    bench.turn()
    bench.kill()
    engine.deliver(1)
    engine.run(2)
    bench.turn()
    assert [row["incomplete"] for row in rows(bench)] == [False, False]
    with bench.database.transaction() as connection:
        kept = connection.execute("SELECT kind FROM open_facts WHERE journal = ''").fetchall()
    assert kept == []
    assert bench.agent._pairing.changes() == []


def test_a_half_that_never_comes(bench: Bench, engine: Engine) -> None:
    """After ten seconds each half goes out alone, says so, and is counted; a late one is lost."""
    engine.run(1)
    engine.deliver(2)
    bench.turn()
    bench.clock.advance(8 * SECOND)
    bench.turn()
    assert rows(bench) == []
    bench.clock.advance(SECOND)
    bench.turn()
    core, half = rows(bench)
    assert (core["request_id"], core["delivered_tokens"], core["incomplete"]) == (
        "req-1",
        None,
        True,
    )
    assert (half["request_id"], half["delivered_tokens"], half["incomplete"]) == ("req-2", 3, True)
    assert (half["instance_id"], half["request_index"]) == (engine.frontend_id, 1)
    for kind in ("engine", "frontend"):
        name = "otel_llm_agent_unpaired_requests_total"
        assert bench.value(name, service_name="svc", half=kind) == 1
    engine.deliver(1)
    bench.turn()
    assert bench.lost("late") == 1
    assert len(rows(bench)) == 2


@pytest.mark.parametrize("shared", [300, 10_240])
def test_ids_that_share_a_long_start(bench: Bench, engine: Engine, shared: int) -> None:
    """A caller's long id is the start of two requests' ids: each gets its own two halves."""
    ids = {index: f"chatcmpl-{'x' * shared}-{index:08x}" for index in (1, 2)}
    for index, request_id in ids.items():
        engine.core.write(arrived(index, frontend=engine.frontend_id, request_id=request_id))
    engine.core.write(scheduled(1, 3, (1, 2)))
    engine.core.write(done(1, emitted=(1, 1)))
    for index in ids:
        engine.core.write(finished(index, first_output_ns=None, output_tokens=index))
    for index in (2, 1):
        engine.deliver(index, request_id=ids[index], output_tokens=index)
    bench.turn()
    found = rows(bench)
    assert {row["output_tokens"] for row in found} == {1, 2}
    assert len({row["request_id"] for row in found}) == len(found) == 2
    for row in found:
        assert row["output_tokens"] == row["delivered_tokens"] == row["request_index"]
        assert not row["incomplete"]
    assert bench.value("otel_llm_malformed_total", what="text") == 4
    for reason in ("late", "state_full", "undecodable"):
        assert not bench.lost(reason)


def test_an_api_server_that_died(bench: Bench, engine: Engine) -> None:
    """Its requests go out at once, and its end is an event that counts as no engine's death."""
    engine.run(1)
    bench.turn()
    die(engine.frontend)
    bench.turn()
    [row] = rows(bench)
    assert row["incomplete"]
    events = [(row["kind"], row["event"]) for row in rows(bench, "llm_engine_events")]
    assert sorted(events) == [("engine", "started"), ("frontend", "died"), ("frontend", "started")]
    up = "otel_llm_engine_up"
    assert bench.value(up, service_name="svc", instance_id=instance_of(engine.core)) == 1
    assert bench.value(up, service_name="svc", instance_id=engine.frontend_id) is None
    assert bench.value("otel_llm_engine_deaths_total", service_name="svc") in (None, 0)
    bench.kill()
    engine.run(2)
    bench.turn()
    assert len(rows(bench)) == 2


def test_a_core_that_died(bench: Bench, engine: Engine) -> None:
    """What its API server knew stands in the row: arrival, first output, the later end."""
    engine.arrive(1)
    engine.core.write(scheduled(1, 3, (1,)))
    engine.core.write(done(1))
    engine.deliver(1, outcome="failed", finish_reason="error", error_type="EngineDeadError")
    bench.turn()
    assert rows(bench) == []
    die(engine.core)
    bench.turn()
    [row] = rows(bench)
    assert (row["outcome"], row["error_type"]) == ("engine_died", "engine_died")
    assert row["first_output"].value - row["arrival"].value == at(10) - at(-0.5)
    assert row["finished"].value - row["arrival"].value == at(33) - at(-0.5)
    assert not row["incomplete"]


def test_an_abort_inside_a_long_step(bench: Bench, engine: Engine) -> None:
    """The API server let go of it; its core does only when its step is done, however long."""
    engine.arrive(1)
    engine.core.write(scheduled(1, 3, (1,)))
    engine.deliver(1, outcome="cancelled", finish_reason="abort")
    for _ in range(30):
        bench.turn()
    assert rows(bench) == []
    engine.core.write(done(1))
    engine.core.write(finished(1, outcome="cancelled", finish_reason="abort", finished_ns=at(90)))
    bench.turn()
    [row] = rows(bench)
    assert (row["outcome"], row["incomplete"]) == ("cancelled", False)
    assert row["finished"].value - row["arrival"].value == at(90) - at(-0.5)


def test_too_many_halves(bench: Bench) -> None:
    """Past the bound the oldest goes out alone, and the loss is counted."""
    bench.settings = msgspec.structs.replace(bench.settings, max_open_requests=1)
    bench.kill()
    engine = Engine(bench)
    engine.run(1)
    engine.run(2)
    bench.turn()
    assert [row["request_id"] for row in rows(bench)] == ["req-1"]
    assert bench.lost("state_full") == 1


def test_an_arrival_by_a_clock_that_was_set(bench: Bench, engine: Engine) -> None:
    """A stamp that runs backwards is mended and counted."""
    engine.run(1)
    engine.deliver(1, arrival_ns=at(6))
    bench.turn()
    assert len(rows(bench)) == 1
    assert bench.value("otel_llm_malformed_total", what="time") == 1


def test_halves_that_cannot_be_decoded(
    bench: Bench, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """They are lost and counted; reading goes on."""
    engine.run(1)
    bench.turn()
    with bench.database.transaction() as connection:
        connection.execute("UPDATE open_facts SET body = x'c1' WHERE journal = ''")
    bench.kill()
    assert bench.lost("undecodable") == 1
    assert "halves of requests are damaged" in caplog.text
    engine.run(2)
    engine.deliver(2)
    bench.turn()
    assert [row["request_id"] for row in rows(bench)] == ["req-2"]


def test_a_journal_of_an_api_server_that_went_away(bench: Bench, engine: Engine) -> None:
    """With its file gone its half cannot come: the core's goes out."""
    engine.run(1)
    bench.turn()
    [file] = Path(bench.settings.journal_dir).glob("frontend-*.journal")
    die(engine.frontend)
    bench.agent._journals.close()
    file.unlink()
    bench.kill()
    bench.turn()
    [row] = rows(bench)
    assert row["incomplete"]


def test_hooks_left_out(bench: Bench) -> None:
    """Each process of an engine that holds its journal says how many hooks it lacks."""
    name = "otel_llm_hooks_left_out"
    journal = bench.frontend(left_out=("a: not there", "b: not there"))
    bench.engine()
    bench.turn()
    labels = {"service_name": "svc", "instance_id": instance_of(journal)}
    assert bench.value(name, **labels) == 2
    die(journal)
    bench.turn()
    assert bench.value(name, **labels) is None
