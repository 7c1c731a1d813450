"""The schema: applied in order, once, resumable, and true to the declared columns."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import count

import pytest
from clickhouse_connect.driver.client import Client

from otel_llm.conventions import ALL_ROLLUPS, ALL_TABLES, Table
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine
from tests.exporters.clickhouse.schema.collector import COLUMNS

_NUMBERS = count()


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    """A client of the module's engine, where the schema is applied."""
    with closing(engine.client()) as client:
        yield client


@pytest.fixture
def empty(client: Client) -> Client:
    """A client whose database is new and empty."""
    name = f"scratch{next(_NUMBERS)}"
    client.command(f"CREATE DATABASE {name}")
    client.database = name
    return client


def described(client: Client, table: str) -> list[tuple[str, str, str]]:
    """Name, type and default of each column."""
    return [
        (row["name"], row["type"], row["default_expression"])
        for row in client.query(f"DESCRIBE TABLE {table}").named_results()
    ]


@pytest.mark.parametrize("table", [*ALL_TABLES, *ALL_ROLLUPS], ids=lambda table: table.name)
def test_tables_hold_the_declared_columns(client: Client, table: Table) -> None:
    """DESCRIBE TABLE and conventions say the same, in the same order."""
    declared = [(column.name, column.type, column.default) for column in table.columns]
    assert described(client, table.name) == declared


@pytest.mark.parametrize("table", COLUMNS)
def test_otel_tables_have_the_columns_of_the_collector(client: Client, table: str) -> None:
    """The names and types that the collector's exporter inserts into are there, in its order."""
    assert [(name, kind) for name, kind, _ in described(client, table)] == COLUMNS[table]


def test_every_table_remembers_blocks_it_has_seen(client: Client) -> None:
    """Without a deduplication window a retry would be stored twice."""
    asked = "SELECT name, create_table_query FROM system.tables WHERE engine LIKE '%MergeTree'"
    rows = client.query(f"{asked} AND database = 'otel'").result_rows
    tables: dict[str, str] = {name: sql for name, sql in rows}  # noqa: C416  rows are untyped
    assert set(tables) >= {table.name for table in (*ALL_TABLES, *ALL_ROLLUPS)} | set(COLUMNS)
    del tables[schema.MIGRATIONS_TABLE]
    without = [t for t, sql in tables.items() if "non_replicated_deduplication_window" not in sql]
    assert without == []


def test_files_are_numbered_and_hold_one_statement_each() -> None:
    """Versions rise one by one, so that a missing file is seen; each can be run again."""
    found = schema.statements()
    assert [statement.version for statement in found] == list(range(1, len(found) + 1))
    assert all(";" not in statement.sql for statement in found)
    again = re.compile(
        r"^CREATE (?:TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS "
        r"|^ALTER TABLE \w+ (?:ADD (?:COLUMN|INDEX) IF NOT EXISTS|MODIFY|DROP \w+ IF EXISTS) ",
        re.MULTILINE,
    )
    assert all(len(again.findall(statement.sql)) == 1 for statement in found)


def test_applying_again_does_nothing(empty: Client) -> None:
    """The first run applies all, the second none."""
    assert schema.pending(empty) == schema.statements()
    assert schema.apply(empty) == schema.statements()
    assert schema.pending(empty) == ()
    assert schema.apply(empty) == ()


def test_a_run_killed_between_two_steps_is_taken_up(
    empty: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after each statement in turn, before it was recorded: the next run goes on there."""
    command, files = empty.command, schema.statements()

    def killing(name: str, sql: str) -> object:
        if sql.startswith("INSERT") and f"'{name}'" in sql:
            raise KeyboardInterrupt
        return command(sql)

    for done, todo in enumerate(files):
        monkeypatch.setattr(empty, "command", partial(killing, todo.name))
        with pytest.raises(KeyboardInterrupt):
            schema.apply(empty)
        monkeypatch.setattr(empty, "command", command)
        assert schema.pending(empty) == files[done:]
    assert schema.apply(empty) == files[-1:]
    assert (schema.pending(empty), schema.differences(empty)) == ((), ())


def test_a_failure_names_the_file(empty: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that cannot be applied is named, and those before it stay."""
    command = empty.command

    def failing(sql: str) -> object:
        return command(sql.replace("FROM otel_traces", "FROM nowhere"))

    monkeypatch.setattr(empty, "command", failing)
    with pytest.raises(StoreError, match=r"0003_otel_traces_trace_id_ts_mv\.sql could not be app"):
        schema.apply(empty)
    assert schema.pending(empty) == schema.statements()[2:]


def test_a_changed_file_is_refused(empty: Client) -> None:
    """An applied file that was edited afterwards is an error, not a silent difference."""
    schema.apply(empty)
    empty.command(
        f"INSERT INTO {schema.MIGRATIONS_TABLE} (version, name, sha256) SELECT 1, 'x', 'other'"
    )
    with pytest.raises(StoreError, match=r"0001_otel_traces\.sql differs"):
        schema.pending(empty)


def test_step_requests_lays_batches_flat(empty: Client) -> None:
    """One row per member; tokens gained are null where the engine did not tell them."""
    schema.apply(empty)
    columns = ["seq", "request_index", "phase", "tokens", "context", "emitted"]
    rows = [
        [1, [7, 8], [0, 1], [16, 1], [0, 40], [0, 1]],
        [2, [7], [1], [1], [16], []],
        [3, [], [], [], [], []],
    ]
    empty.insert("llm_steps", rows, column_names=columns)
    asked = f"SELECT {', '.join(columns)}, batch_size FROM llm_step_requests ORDER BY 1, 2"
    assert empty.query(asked).result_rows == [
        (1, 7, 0, 16, 0, 0, 2),
        (1, 8, 1, 1, 40, 1, 2),
        (2, 7, 1, 1, 16, None, 1),
    ]


def test_step_requests_tells_of_speculation(empty: Client) -> None:
    """No draft is 0; accepted is null only where drafts were proposed and no result told."""
    schema.apply(empty)
    columns = ["seq", "request_index", "phase", "tokens", "context", "drafts", "accepted"]
    batch = [[7, 8], [1, 1], [4, 1], [40, 9]]
    rows = [
        [1, *batch, [3, 0], [2, 0]],
        [2, *batch, [3, 0], []],
        [3, *batch, [], []],
    ]
    empty.insert("llm_steps", rows, column_names=columns)
    asked = "SELECT seq, request_index, drafts, accepted FROM llm_step_requests ORDER BY 1, 2"
    assert empty.query(asked).result_rows == [
        (1, 7, 3, 2),
        (1, 8, 0, 0),
        (2, 7, 3, None),
        (2, 8, 0, None),
        (3, 7, 0, 0),
        (3, 8, 0, 0),
    ]


def test_two_runs_at_once(engine: Engine, empty: Client) -> None:
    """Both end well, and the database has everything once."""

    def run(_number: int) -> tuple[schema.Statement, ...]:
        with closing(engine.client()) as client:
            client.database = empty.database
            return schema.apply(client)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(run, range(4)))
    assert {statement for each in done for statement in each} == set(schema.statements())
    assert schema.pending(empty) == ()
    counted = f"SELECT count(), uniqExact(version) FROM {schema.MIGRATIONS_TABLE} FINAL"
    number = len(schema.statements())
    assert empty.query(counted).result_rows == [(number, number)]
