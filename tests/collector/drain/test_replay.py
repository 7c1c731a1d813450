"""What was set aside goes into the table that lacks it, once."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_llm.collector.decoder import check
from otel_llm.collector.drain.batch import Batch
from otel_llm.collector.drain.quarantine import ALL_TABLES, Quarantine
from otel_llm.collector.drain.replay import replay
from otel_llm.collector.spool import entry_of
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.engine import Engine
from tests.collector.drain.way import Way, body_of, names, over_days

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

CONSTRAINT = "ALTER TABLE otel_traces ADD CONSTRAINT mine CHECK SpanName != 'no'"


@pytest.fixture
def client(engine: Engine) -> Iterator["Client"]:
    """A client of the engine."""
    client = engine.client()
    yield client
    client.close()


def test_two_files_are_both_stored(way: Way, engine: Engine, client: "Client") -> None:
    """Days without end are no reason to refuse what somebody asks for; the files go."""
    way.fill(over_days("a", 101), body_of("ok"), over_days("b", 102))
    way.drain()
    for path in way.set_aside:
        replay(client, path)
    assert sorted(names(engine)) == ["a"] * 101 + ["b"] * 102 + ["ok"]
    assert way.set_aside == []


def test_a_file_that_is_replayed_again_is_stored_once(
    way: Way, engine: Engine, client: "Client"
) -> None:
    """Killed after the insert and before the file is removed."""
    way.fill(over_days("a", 101))
    way.drain()
    [path] = way.set_aside
    kept = path.read_bytes()
    for _ in range(2):
        path.write_bytes(kept)
        assert replay(client, path).rows == {"otel_traces": 101}
    assert len(names(engine)) == 101


def test_what_is_refused_again_is_kept(
    way: Way, engine: Engine, client: "Client", tmp_path: Path
) -> None:
    """An error that says why, and the file for the next time."""
    way.fill(body_of("no"), body_of("yes"))
    client.command(CONSTRAINT)
    try:
        assert way.drain_as_long_as_it_fails() == 4
        [path] = way.set_aside
        assert way.store.dropped["otel_traces"] == 1
        with pytest.raises(StoreError, match=r"is refused again.*mine"):
            replay(client, path)
        assert path.exists()
    finally:
        client.command("ALTER TABLE otel_traces DROP CONSTRAINT mine")
    assert replay(client, path).rows == {"otel_traces": 1}
    assert names(engine) == ["no", "yes"]
    other = tmp_path / "other"
    for data in (b"", b"\n", b"a/traces/0-0/otel_traces\nrubbish", b"\xff/../0-0/x\n"):
        other.write_bytes(data)
        with pytest.raises(StoreError, match="holds no request"):
            replay(client, other)


def test_what_was_not_decoded_goes_into_every_table(
    engine: Engine, client: "Client", tmp_path: Path
) -> None:
    """None of them has any of it."""
    body = body_of("late")
    batch = Batch("s", "traces", 3, [entry_of("traces", body, check("traces", body))])
    path = Quarantine(tmp_path / "q").keep_request(batch, ALL_TABLES)
    replay(client, path)
    assert "late" in names(engine)
