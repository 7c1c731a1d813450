"""Delivery: in order, until acknowledged, with patience."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_llm.agent.database import Database
from otel_llm.agent.delivery import AwayError, Delivery, RefusedError
from otel_llm.agent.spool import Batch, SinkName, Spool
from otel_llm.backoff import wait_s
from tests.waiting import PATIENCE_S


class ScriptedSink:
    """Answers from a script, then takes everything."""

    name: SinkName = "clickhouse"

    def __init__(self, *script: Exception | None, refused: int = 1) -> None:
        self.script = list(script)
        self.refused = refused
        self.sent: list[tuple[str, str, bytes]] = []
        self.closed = False

    def send(self, batch: Batch) -> int:
        """Take note, then do as the script says."""
        self.sent.append((batch.target, batch.token, batch.body))
        answer = self.script.pop(0) if self.script else None
        if answer is not None:
            raise answer
        return self.refused

    def close(self) -> None:
        """Take note."""
        self.closed = True


class Observer:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def delivered(self, batch: Batch, refused: int) -> None:
        """A batch was acknowledged."""
        self.told.append(("delivered", batch.target, str(refused)))

    def refused(self, batch: Batch) -> None:
        """A batch was refused."""
        self.told.append(("refused", batch.target))

    def failed(self, sink: SinkName, reason: str) -> None:
        """A try failed."""
        self.told.append(("failed", sink, reason))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A spool with batches a, b and c."""
    database = Database(tmp_path)
    made = Spool(database, 1_000)
    with database.transaction() as connection:
        _, change = made.add(
            connection, [Batch("clickhouse", name, 3, name.encode() * 5) for name in "abc"]
        )
    made.resize(change)
    yield made
    database.close()


def deliver_all(sink: ScriptedSink, spool: Spool) -> list[tuple[str, ...]]:
    """Try until nothing waits."""
    observer = Observer()
    delivery = Delivery(sink, spool, observer)
    while spool.sizes["clickhouse"]:
        delivery.deliver_one()
    return observer.told


def test_in_order(spool: Spool) -> None:
    """The oldest goes first, each once."""
    sink = ScriptedSink()
    told = deliver_all(sink, spool)
    assert told == [("delivered", name, "1") for name in "abc"]
    assert [target for target, _, _ in sink.sent] == ["a", "b", "c"]


def test_again_until_acknowledged(spool: Spool) -> None:
    """A sink that is away gets the same token and bytes again, before anything newer."""
    sink = ScriptedSink(AwayError("timeout", "slow"), None, AwayError("server_error", "ill"))
    told = deliver_all(sink, spool)
    assert told == [
        ("failed", "clickhouse", "timeout"),
        ("delivered", "a", "1"),
        ("failed", "clickhouse", "server_error"),
        ("delivered", "b", "1"),
        ("delivered", "c", "1"),
    ]
    assert sink.sent[0] == sink.sent[1]
    assert sink.sent[2] == sink.sent[3]


def test_refused_for_good(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    """A refused batch makes way, is told, and is logged without its content."""
    with caplog.at_level(logging.ERROR):
        told = deliver_all(ScriptedSink(RefusedError("answered 400")), spool)
    assert told == [("refused", "a"), ("delivered", "b", "1"), ("delivered", "c", "1")]
    assert "refused 3 items for a for good: answered 400" in caplog.text
    assert "aaaaa" not in caplog.text


def test_an_outage_is_logged_once(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    """Its beginning and its end, not every try."""
    away = [AwayError("unreachable", "connection refused") for _ in range(5)]
    with caplog.at_level(logging.INFO):
        deliver_all(ScriptedSink(*away, refused=0), spool)
    assert [record.getMessage() for record in caplog.records] == [
        "clickhouse: connection refused; trying again",
        "clickhouse takes batches again",
    ]


def test_waits_grow_with_jitter_up_to_a_bound() -> None:
    """From a tenth of a second to five, and never all agents at the same moment."""
    assert [wait_s(failures, 1.0) for failures in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert wait_s(1, 0.0) == 0.1
    assert wait_s(10_000, 1.0) == 5.0


def test_a_thread_delivers_what_comes(spool: Spool, wait: Callable[..., None]) -> None:
    """The thread delivers, waits, and at the end delivers what is left and lets go of the sink."""
    sink = ScriptedSink(AwayError("timeout", "slow"))
    delivery = Delivery(sink, spool, Observer(), jitter=lambda: 0.0)
    delivery.start()
    wait(lambda: not spool.sizes["clickhouse"])
    delivery.stop()
    delivery.join(PATIENCE_S)
    assert sink.closed


def test_stop_during_an_outage(spool: Spool, wait: Callable[..., None]) -> None:
    """An agent that is told to stop does not wait for a sink; its batches stay."""
    sink = ScriptedSink(*(AwayError("timeout", "slow") for _ in range(100)))
    observer = Observer()
    delivery = Delivery(sink, spool, observer)
    delivery.start()
    wait(lambda: bool(observer.told))
    delivery.stop()
    delivery.join(PATIENCE_S)
    assert sink.closed
    assert spool.sizes["clickhouse"] == 15


def test_a_spool_that_cannot_be_used(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails is a failed try; the thread lives on."""

    def fail(_sink: SinkName) -> Batch:
        message = "disk I/O error"
        raise sqlite3.OperationalError(message)

    observer = Observer()
    delivery = Delivery(ScriptedSink(), spool, observer)
    with monkeypatch.context() as patch:
        patch.setattr(spool, "oldest", fail)
        assert not delivery.deliver_one()
    assert observer.told == [("failed", "clickhouse", "state")]
    assert delivery.deliver_one()


def test_an_unexpected_error(
    spool: Spool, caplog: pytest.LogCaptureFixture, wait: Callable[..., None]
) -> None:
    """It is a failed try like any other, told by its type: its text may hold a token."""
    sink = ScriptedSink(ValueError("SECRET"), UnicodeError("SECRET"))
    observer = Observer()
    delivery = Delivery(sink, spool, observer, jitter=lambda: 0.0)
    delivery.start()
    wait(lambda: not spool.sizes["clickhouse"])
    delivery.stop()
    delivery.join(PATIENCE_S)
    assert observer.told[:3] == [("failed", "clickhouse", "unexpected")] * 2 + [
        ("delivered", "a", "1")
    ]
    assert "clickhouse: unexpected builtins.ValueError; trying again" in caplog.text
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize("error", [AwayError("timeout", "slow"), ValueError("odd")])
def test_a_batch_not_delivered_may_be_put_out(
    spool: Spool, tmp_path: Path, error: Exception
) -> None:
    """A failed try holds on to no batch: newer ones may take its room."""
    assert not Delivery(ScriptedSink(error), spool, Observer()).deliver_one()
    database = Database(tmp_path)
    with database.transaction() as connection:
        put_out, _ = spool.add(connection, [Batch("clickhouse", "d", 1, b"d" * 1_000)])
    database.close()
    assert put_out == 9


def test_items_that_are_not_kept_are_logged_once(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    """A sink keeps two of three items of each batch: all are told, none comes again, one line."""
    sink = ScriptedSink()
    with caplog.at_level(logging.WARNING, "otel_llm.agent"):
        told = deliver_all(sink, spool)
    assert told == [("delivered", name, "1") for name in "abc"]
    assert [target for target, _, _ in sink.sent] == ["a", "b", "c"]
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "clickhouse did not keep 1 of 3 items for a"
    ]
