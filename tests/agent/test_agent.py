"""The agent's loop over real journals: sinks away, full, refusing; disks full; deaths."""

from pathlib import Path

import msgspec
import pytest

from otel_llm.agent.delivery import AwayError, RefusedError
from otel_llm.journal.writer import open_journal
from tests.agent.bench import ALL, SECOND, Bench, die, serve
from tests.agent.builders import arrived, call, call_started, done, finished, kernels, scheduled


def test_one_request(bench: Bench) -> None:
    """Rows and spans of what one engine wrote arrive."""
    serve(bench.engine())
    bench.turn()
    assert (bench.rows.all_items, bench.spans.items) == (
        {**ALL, "llm_producers": 1}, {"traces": 4},
    )  # fmt: skip
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
    # Thirty requests and steps, a birth and its process.
    arrived_rows = sum(bench.rows.all_items.values())
    assert arrived_rows < 62
    assert bench.lost("spool_full") == 62 - arrived_rows
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
    # A request, a step, a birth and its process.
    assert bench.lost("refused") == 4
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
    assert bench.rows.items == {**ALL, "llm_kernels": 3, "llm_step_kernels": 1}
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
    assert bench.value("otel_llm_requests_open", service_name="svc") == 1
    die(journal)
    bench.turn()
    assert bench.rows.items == {"llm_requests": 2, "llm_steps": 2, "llm_engine_events": 2}
    assert bench.value("otel_llm_engine_deaths_total", service_name="svc") == 1
    assert bench.value("otel_llm_agent_journals") == 0
    assert bench.value("otel_llm_requests_open", service_name="svc") == 0
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


def _damage(bench: Bench, statement: str) -> None:
    with bench.database.transaction() as connection:
        connection.execute(statement)
    bench.kill()


def test_a_state_that_cannot_be_decoded(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The agent begins anew and keeps the file, instead of failing at every start."""
    journal = bench.engine()
    serve(journal, 1)
    bench.turn()
    _damage(bench, "UPDATE journals SET state = x'c1'")
    assert "is damaged" in caplog.text
    assert (Path(bench.settings.state_dir) / "agent.damaged").exists()
    serve(journal, 2)
    bench.turn()
    assert bench.rows.items["llm_requests"] >= 2


def test_open_facts_that_cannot_be_decoded(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """What was open is lost and counted; reading goes on from the cursor."""
    journal = bench.engine()
    for index in (1, 3, 4):  # they share a row
        journal.write(arrived(index))
    bench.turn()
    _damage(bench, "UPDATE open_facts SET body = x'c1' WHERE kind = 'request.rows'")
    serve(journal, 2)
    bench.turn()
    assert bench.lost("undecodable") == 3
    assert "what was open is damaged" in caplog.text
    assert bench.rows.items["llm_requests"] == 1


def test_swallowed_errors_count_once_over_a_restart(bench: Bench) -> None:
    """What was counted before the agent died is not counted again."""
    journal = bench.engine()
    for _ in range(3):
        journal.count_swallowed()
    bench.turn()
    assert bench.value("otel_llm_swallowed_errors_total", service_name="svc") == 3
    bench.kill()
    journal.count_swallowed()
    bench.turn()
    assert bench.value("otel_llm_swallowed_errors_total", service_name="svc") == 1
