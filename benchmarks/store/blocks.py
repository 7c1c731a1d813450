"""Blocks of facts as the agent sends them, read from a store that is filled."""

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from benchmarks.store.fill import Size, fill, open_store
from otel_llm.conventions import Table, Tables
from otel_llm.exporters.clickhouse.rows.schema import arrow_schema

SIZES = {
    Tables.STEPS: {"small": 100, "large": 10_000},
    Tables.REQUESTS: {"small": 20, "large": 5_000},
    Tables.CALLS: {"small": 20, "large": 5_000},
    Tables.ATTEMPTS: {"small": 20, "large": 5_000},
}
"""Rows of a block: a small one is about a second of one engine, a large one of a busy node."""
REPEATS = {"small": 200, "large": 10}


class Sent(NamedTuple):
    """Blocks of one size for one table, each of other rows."""

    table: str
    size: str
    rows: int
    bodies: list[bytes]


def made(folder: Path, base_ns: int) -> list[Sent]:
    """All blocks to send, from a store made at `folder`."""
    client = open_store(folder)
    try:
        size = Size(10 * REPEATS["large"] * SIZES[Tables.REQUESTS]["large"], base_ns)
        fill(client, size, print, folder / "fill_s.json")
        return [
            Sent(table.name, size, rows, _blocks(client, table, rows, REPEATS[size]))
            for table, sizes in SIZES.items()
            for size, rows in sizes.items()
        ]
    finally:
        client.close()


def _blocks(client: Client, table: Table, rows: int, count: int) -> list[bytes]:
    return [block(client, table, rows, number * rows) for number in range(count)]


def block(client: Client, table: Table, rows: int, first: int = 0) -> bytes:
    """Some rows of a table, from the `first` on, as the agent sends them."""
    return _stream(table, _lines(client, table, f"LIMIT {rows} OFFSET {first}"))


def cut(client: Client, table: Table, rows: int, count: int) -> list[bytes]:
    """So many blocks of a table's rows, read at once.

    Raises:
        RuntimeError: the table has fewer rows.
    """
    lines = _lines(client, table, f"LIMIT {rows * count}")
    if len(lines) < rows * count:
        message = f"{table.name} has {len(lines)} rows, not {rows * count}"
        raise RuntimeError(message)
    return [_stream(table, lines[begin : begin + rows]) for begin in range(0, rows * count, rows)]


def _lines(client: Client, table: Table, which: str) -> list[dict[str, object]]:
    names = ", ".join(arrow_schema(table).names)
    sql = f"SELECT {names} FROM {table.name} {which}"
    read = pa.ipc.open_stream(client.raw_query(sql, fmt="ArrowStream")).read_all()
    return [
        {name: _text(value) for name, value in line.items()} for line in _numbers(read).to_pylist()
    ]


def _stream(table: Table, lines: list[dict[str, object]]) -> bytes:
    schema = arrow_schema(table)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(pa.Table.from_pylist(lines, schema=schema).combine_chunks())
    body: bytes = sink.getvalue().to_pybytes()
    return body


def _numbers(table: pa.Table) -> pa.Table:
    """Times as numbers: Python's own end at microseconds."""
    for place, column in enumerate(table.columns):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(place, table.column_names[place], column.cast(pa.int64()))
    return table


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value
