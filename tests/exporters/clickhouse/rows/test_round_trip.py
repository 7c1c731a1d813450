"""The one declaration of columns from both sides: what Arrow sends is what the table holds."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_llm.conventions import ALL_TABLES, Table
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.rows.schema import arrow_schema
from otel_llm.exporters.clickhouse.writer import insert_arrow_block

NOON_NS = 1_790_078_400_000_000_000


@pytest.fixture(scope="module")
def client(engine: Engine) -> Iterator[Client]:
    """A client of the module's engine."""
    with closing(engine.client()) as client:
        yield client


def values(kind: str) -> st.SearchStrategy[Any]:
    """Values of a ClickHouse type, its ends among them. Times are of one day, so one partition."""
    if wrapped := re.fullmatch(r"(LowCardinality|Nullable|Array)\((.*)\)", kind):
        inner = values(wrapped[2])
        return {"Array": st.lists(inner, max_size=3), "Nullable": st.none() | inner}.get(
            wrapped[1], inner
        )
    if whole := re.fullmatch(r"(U?)Int(\d+)", kind):
        bits = int(whole[2])
        low, high = (0, 2**bits - 1) if whole[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return st.sampled_from([low, high]) | st.integers(low, high)
    if kind.startswith("DateTime64(9"):
        return st.integers(NOON_NS, NOON_NS + 3_600_000_000_000)
    if width := re.fullmatch(r"Float(\d+)", kind):
        return st.floats(allow_nan=False, width=32 if width[1] == "32" else 64)
    return {"Bool": st.booleans(), "String": st.text(max_size=5)}[kind]


def row(table: Table) -> st.SearchStrategy[dict[str, Any]]:
    """A row of a table."""
    return st.fixed_dictionaries(
        {column.name: values(column.type) for column in table.sent_columns}
    )


@pytest.mark.parametrize("table", ALL_TABLES, ids=[table.name for table in ALL_TABLES])
@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_value_of_every_column_comes_back(
    client: Client, table: Table, data: st.DataObject
) -> None:
    """Rows of any values that the declared types have are read back equal, bit for bit."""
    schema = arrow_schema(table)
    sent = data.draw(st.lists(row(table), min_size=1, max_size=4))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(pa.Table.from_pylist(sent, schema=schema))
    client.command(f"TRUNCATE TABLE {table.name}")
    insert_arrow_block(client, table.name, sink.getvalue().to_pybytes(), str(data.draw(st.uuids())))
    names = ", ".join(schema.names)
    body = client.raw_query(f"SELECT {names} FROM {table.name}", fmt="ArrowStream")
    found = pa.ipc.open_stream(body).read_all()
    assert _rows(found) == _rows(pa.Table.from_pylist(sent, schema=schema))


def _rows(table: pa.Table) -> Counter[str]:
    """Each row as text, times as numbers: Python's own times end at microseconds."""
    columns = [
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for column in table.columns
    ]
    lists = [column.to_pylist() for column in columns]
    return Counter(repr([_text(value) for value in line]) for line in zip(*lists, strict=True))


def _text(value: object) -> object:
    """ClickHouse hands strings out as bytes where they are not declared to be UTF-8."""
    return value.decode() if isinstance(value, bytes) else value
