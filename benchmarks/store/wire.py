"""What each compression of a block on its way to ClickHouse costs and saves."""

import statistics
import time
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from otel_llm.conventions import Table, Tables
from otel_llm.exporters.clickhouse.rows.schema import arrow_schema

CODECS = {"lz4": ("lz4", None), "zstd 1": ("zstd", 1), "zstd 3": ("zstd", 3), "gzip 6": ("gzip", 6)}
BLOCKS = {"100 steps": (Tables.STEPS, 100), "20 requests": (Tables.REQUESTS, 20)}
"""About what one engine makes in the second between two deliveries."""
_TRIES = 51


def costs(client: Client) -> dict[str, dict[str, Any]]:
    """Bytes of a block as it is and under each codec, and microseconds to compress it."""
    found: dict[str, dict[str, Any]] = {}
    for name, (table, rows) in BLOCKS.items():
        body = _block(client, table, rows)
        found[name] = {"plain": {"bytes": len(body), "us": 0.0}}
        for codec, (kind, level) in CODECS.items():
            found[name][codec] = _cost(pa.Codec(kind, compression_level=level), body)
    return found


def _cost(codec: pa.Codec, body: bytes) -> dict[str, float]:
    took = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        packed = codec.compress(body, asbytes=True)
        took.append((time.perf_counter() - began) * 1e6)
    return {"bytes": len(packed), "us": round(statistics.median(took), 1)}


def _block(client: Client, table: Table, rows: int) -> bytes:
    """Some rows of a table as the agent sends them."""
    schema = arrow_schema(table)
    names = ", ".join(schema.names)
    sql = f"SELECT {names} FROM {table.name} LIMIT {rows}"
    read = pa.ipc.open_stream(client.raw_query(sql, fmt="ArrowStream")).read_all()
    lines = [
        {name: _text(value) for name, value in line.items()} for line in _numbers(read).to_pylist()
    ]
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
