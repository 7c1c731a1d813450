"""Where a table or view that is there differs from what the files make of it.

Compared are engines, deduplication windows, columns and the SELECT of views: what is wrong of a
table that somebody else made or that was changed by hand. A column that no file has does no harm.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.schema.cluster import names, rendered
from otel_llm.exporters.clickhouse.schema.columns import columns
from otel_llm.exporters.clickhouse.schema.statements import Statement, statements

_ENGINE = re.compile(r"^ENGINE = (\w+)", re.MULTILINE)
_WINDOW = re.compile(r"\b(?:non_)?replicated_deduplication_window = \d+")
_SELECT = re.compile(r"^SELECT\b.*", re.MULTILINE | re.DOTALL)
_VIEWS = {"VIEW": "View", "MATERIALIZED VIEW": "MaterializedView"}


class Difference(NamedTuple):
    """A table or view that is other than the schema's.

    Attributes:
        table: its name.
        problems: what is wrong of it, a clause each; nothing that `apply` could mend.
        window: the deduplication window that it lacks, `NAME = BLOCKS`; empty if it has it.
    """

    table: str
    problems: tuple[str, ...]
    window: str

    @property
    def clauses(self) -> tuple[str, ...]:
        """All that is wrong of it."""
        return (*self.problems, f"has no {self.window}") if self.window else self.problems

    def __str__(self) -> str:
        return f"{self.table}: {', '.join(self.clauses)}"


class _Found(NamedTuple):
    engine: str
    engine_full: str
    select: str
    columns: Mapping[str, str]


def differences(
    client: Client, cluster: str = "", todo: Iterable[Statement] = ()
) -> tuple[Difference, ...]:
    """The tables and views that are there and differ. Of a cluster, one server is asked.

    Args:
        client: of the database.
        cluster: name of the cluster; empty for one server.
        todo: what is pending; a table that some of it changes is not compared yet.

    Raises:
        StoreError: the store cannot be asked.
    """
    try:
        changed = {each.table for each in todo if not each.creates}
        made = [each for each in statements() if each.creates and each.table not in changed]
        return tuple(_differences(client, cluster, made))
    except ClickHouseError as error:
        message = f"The tables of the store cannot be compared with the schema: {error}"
        raise StoreError(message) from error


def _differences(client: Client, cluster: str, made: list[Statement]) -> Iterator[Difference]:
    database = str(client.command("SELECT currentDatabase()"))
    there = _there(client)
    last = {each.table: each for each in statements() if each.of_view}
    for statement in made:
        texts = rendered(last.get(statement.table, statement), cluster, database)
        for name, sql in zip(names(statement, cluster), texts, strict=True):
            if name in there:
                problems = tuple(_problems(client, statement, sql, there[name]))
                found = Difference(name, problems, _window(sql, there[name]))
                if found.clauses:
                    yield found


def _problems(client: Client, made: Statement, sql: str, found: _Found) -> Iterator[str]:
    kind, table = made.creates or ("TABLE", made.table)
    engine = _VIEWS.get(kind) or _ENGINE.findall(sql)[0]
    if found.engine != engine:
        yield f"is {found.engine}, not {engine}"
    elif kind != "TABLE":
        asked = _SELECT.findall(sql)[0]
        formatted = client.query("SELECT formatQuerySingleLine({a:String})", {"a": asked})
        if found.select != formatted.result_rows[0][0]:
            yield "selects something else"
    else:
        yield from _of_columns(columns(table), found.columns)


def _of_columns(wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for name, kind in wanted.items():
        if name not in found:
            yield f"has no column {name}"
        elif found[name] != kind:
            yield f"{name} is {found[name]}, not {kind}"


def _window(sql: str, found: _Found) -> str:
    lacking = [
        each
        for each in _WINDOW.findall(sql)
        if found.engine.endswith("MergeTree") and not re.search(rf"\b{each}\b", found.engine_full)
    ]
    return lacking[0] if lacking else ""


def _there(client: Client) -> dict[str, _Found]:
    """What the database has. Columns are read last, so that a table made meanwhile has them."""
    asked = """SELECT name, engine, engine_full,
        replaceAll(as_select, concat('FROM ', database, '.'), 'FROM ')
        FROM system.tables WHERE database = currentDatabase()"""
    tables = client.query(asked).result_rows
    asked = """SELECT table, name, trim(concat(type, ' ', default_kind))
        FROM system.columns WHERE database = currentDatabase()"""
    found: dict[str, dict[str, str]] = {}
    for table, name, kind in client.query(asked).result_rows:
        found.setdefault(table, {})[name] = kind
    return {
        name: _Found(engine, engine_full, select, found.get(name, {}))
        for name, engine, engine_full, select in tables
    }
