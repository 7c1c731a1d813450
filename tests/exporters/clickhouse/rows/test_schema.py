"""ClickHouse types as Arrow types."""

from contextlib import closing

import pyarrow as pa
import pytest

from otel_llm.conventions import ALL_TABLES, Table
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.rows.schema import arrow_schema, arrow_type
from otel_llm.exporters.clickhouse.writer import insert_arrow_block


@pytest.mark.parametrize(
    ("clickhouse", "arrow"),
    [
        ("UInt16", pa.uint16()),
        ("Nullable(UInt32)", pa.uint32()),
        ("LowCardinality(String)", pa.dictionary(pa.int32(), pa.string())),
        ("Nullable(DateTime64(9, 'UTC'))", pa.timestamp("ns", "UTC")),
        ("Array(UInt64)", pa.list_(pa.field("item", pa.uint64(), nullable=False))),
    ],
)
def test_types(clickhouse: str, arrow: object) -> None:
    """Each type that the tables use has its Arrow twin."""
    assert arrow_type(clickhouse) == arrow


def test_unknown_type() -> None:
    """A type that no table uses is an error when the schema is made, not when rows are sent."""
    with pytest.raises(KeyError, match="Decimal"):
        arrow_type("Decimal(9)")


SECONDS = 1_790_000_000


def value(kind: pa.DataType) -> object:
    """A value of a type that is not its zero."""
    if pa.types.is_list(kind):
        return [value(kind.value_type)] * 2
    if pa.types.is_timestamp(kind):
        return SECONDS * 10**9
    if pa.types.is_boolean(kind):
        return True
    if pa.types.is_floating(kind):
        return 1.5
    return 3 if pa.types.is_integer(kind) else "a"


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.name)
def test_every_table_takes_rows_of_its_declaration(engine: Engine, table: Table) -> None:
    """A value in each column goes in as Arrow and comes back."""
    kinds = arrow_schema(table)
    row = pa.table([pa.array([value(field.type)], field.type) for field in kinds], schema=kinds)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, kinds) as stream:
        stream.write_table(row)
    with closing(engine.client()) as client:
        insert_arrow_block(client, table.name, sink.getvalue().to_pybytes(), "one")
        found = client.query_arrow(f"SELECT {', '.join(kinds.names)} FROM {table.name}")
    assert [list(map(str, column.to_pylist())) for column in found.columns] == [
        list(map(str, column.to_pylist())) for column in row.columns
    ]
