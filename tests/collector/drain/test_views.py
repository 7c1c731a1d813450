"""Views that somebody hangs on our tables: their failures are theirs, and are counted."""

from collections.abc import Iterator

import pytest

from otel_llm.exporters.clickhouse.engine import Engine, Handle
from otel_llm.exporters.clickhouse.errors import EngineError
from tests.collector.drain.way import Way, body_of, names

TARGET = "CREATE TABLE mine (x UInt16) ENGINE = MergeTree PARTITION BY x ORDER BY x"
FAILING = {
    "error": "SELECT toUInt16(throwIf(SpanName = 'boom')) AS x FROM otel_traces",
    "partitions": "SELECT toUInt16(arrayJoin(range(200))) AS x FROM otel_traces",
}


def run(engine: Engine, *statements: str) -> None:
    """Execute statements."""
    with engine.session() as handle:
        for statement in statements:
            handle.run(statement)


@pytest.fixture(params=FAILING)
def failing_view(engine: Engine, request: pytest.FixtureRequest) -> Iterator[None]:
    """A view that cannot take the rows of the test."""
    run(engine, TARGET, f"CREATE MATERIALIZED VIEW mine_mv TO mine AS {FAILING[request.param]}")
    yield
    run(engine, "DROP TABLE IF EXISTS mine_mv SYNC", "DROP TABLE IF EXISTS mine SYNC")


@pytest.mark.usefixtures("failing_view")
@pytest.mark.parametrize("killed_after", [0, 1, 2])
def test_a_failing_view_doubles_and_loses_no_row(
    way: Way, engine: Engine, killed_after: int
) -> None:
    """Rows are in the table and our own view once, whatever kills; the failing view's are told."""
    way.fill(*(body_of(name) for name in ("ok", "boom", "fine", "boom")))
    for _ in range(killed_after):
        with pytest.raises(EngineError):
            way.drain()
        way = way.again()
    assert way.drain_as_long_as_it_fails() == 2
    assert names(engine) == ["boom", "boom", "fine", "ok"]
    assert len(names(engine, "otel_traces_trace_id_ts", "TraceId")) == 4
    assert names(engine, "mine", "x") == []
    assert way.store.unseen["otel_traces"] == 4
    assert way.store.rows["otel_traces"] == 4
    assert (way.store.dropped["otel_traces"], way.set_aside) == (0, [])


@pytest.mark.usefixtures("failing_view")
def test_a_view_without_its_table_holds_nothing_up(way: Way, engine: Engine) -> None:
    """Its target is gone: nobody can ask for its rows."""
    run(engine, "DROP TABLE mine SYNC SETTINGS check_table_dependencies = 0")
    way.fill(body_of("a"))
    way.drain()
    assert names(engine) == ["a"]


def test_rows_that_a_view_failed_on_are_never_halved(
    way: Way, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if memory is short from then on: the whole is on disk."""
    insert, tries = Handle.insert, 0

    def fails(self: Handle, statement: str, fmt: str, data: bytes) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            insert(self, statement, fmt, data)
            raise EngineError(395, "x: while pushing to view otel.v", "FUNCTION_THROW_IF")
        if tries <= 20:
            raise EngineError(241, "no memory", "MEMORY_LIMIT_EXCEEDED")
        return insert(self, statement, fmt, data)

    monkeypatch.setattr(Handle, "insert", fails)
    way.fill(body_of("a"), body_of("b"))
    for _ in range(19):
        with pytest.raises(EngineError):
            way.drain()
    way.drain()
    assert names(engine) == ["a", "b"]
    assert way.store.unseen["otel_traces"] == 2
