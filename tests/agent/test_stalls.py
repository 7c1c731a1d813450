"""An engine that has requests and makes no steps is told, and no other."""

import pytest

from otel_llm.journal.writer import Journal
from tests.agent.bench import SECOND, Bench, die, serve
from tests.agent.builders import arrived, done, finished, scheduled

NAME = "otel_llm_engine_stalled_seconds"


def stalled(bench: Bench, journal: Journal, seconds: int = 0) -> float | None:
    """What the page says of an engine after so many further seconds."""
    bench.clock.advance(seconds * SECOND)
    bench.turn()  # takes a second itself
    labels = {"service_name": "svc", "instance_id": journal.producer.instance_id}
    return bench.value(NAME, **labels)


def test_requests_and_no_steps(bench: Bench) -> None:
    """It grows from the last step on, and is 0 again with the next one."""
    journal = bench.engine()
    journal.write(arrived(1))
    journal.write(scheduled(1, 3, (1,)))
    assert stalled(bench, journal) == 0
    assert stalled(bench, journal, 59) == 60
    journal.write(arrived(2))
    assert stalled(bench, journal, 9) == 70, "a request that arrives is no sign of work"
    journal.write(done(1))
    assert stalled(bench, journal) == 0


def test_without_requests(bench: Bench) -> None:
    """An idle engine does not stall; its next request has its whole time."""
    journal = bench.engine()
    serve(journal)
    assert stalled(bench, journal, 600) == 0
    journal.write(arrived(2))
    assert stalled(bench, journal, 600) == 601
    journal.write(finished(2))
    assert stalled(bench, journal, 600) == 0


def test_each_engine_by_itself(bench: Bench) -> None:
    """The steps of one hide nothing of another in the same service."""
    still, busy = bench.engine(), bench.engine()
    still.write(arrived(1))
    stalled(bench, still)
    serve(busy)
    busy.write(arrived(2))
    busy.write(scheduled(2, 3, (2,)))
    assert stalled(bench, still, 99) == 100
    assert stalled(bench, busy) == 1


def test_a_dead_one(bench: Bench) -> None:
    """It is dead, not stalled, and its series goes."""
    journal = bench.engine()
    journal.write(arrived(1))
    assert stalled(bench, journal) == 0
    die(journal)
    assert stalled(bench, journal, 99) is None


def test_a_journal_left_unread(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the agent cannot read on, nothing is known against the engine."""
    journal = bench.engine()
    journal.write(arrived(1))
    assert stalled(bench, journal) == 0
    monkeypatch.setattr("otel_llm.agent.agent.MAX_PENDING", 0)
    assert stalled(bench, journal, 600) == 0
