"""Arrow schemas, derived from the tables' columns in `otel_llm.conventions`."""

import functools
import re

import pyarrow as pa

from otel_llm.conventions import Table

_SCALARS: dict[str, pa.DataType] = {
    "String": pa.string(),
    "Bool": pa.bool_(),
    "UInt8": pa.uint8(),
    "UInt16": pa.uint16(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    "Int16": pa.int16(),
    "Float32": pa.float32(),
    "Int64": pa.int64(),
    "DateTime64(9, 'UTC')": pa.timestamp("ns", "UTC"),
}
_WRAPPED = re.compile(r"(LowCardinality|Nullable|Array)\((.*)\)")


@functools.cache
def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of the columns of a table that are sent, in their order."""
    return pa.schema(
        pa.field(column.name, arrow_type(column.type), nullable=column.type.startswith("Nullable("))
        for column in table.sent_columns
    )


def arrow_type(clickhouse_type: str) -> pa.DataType:
    """The Arrow type in which a ClickHouse type is sent.

    Raises:
        KeyError: no fact table uses such a type yet.
    """
    wrapped = _WRAPPED.fullmatch(clickhouse_type)
    if wrapped is None:
        return _SCALARS[clickhouse_type]
    wrapper, inner = wrapped.groups()
    if wrapper == "LowCardinality":
        return pa.dictionary(pa.int32(), arrow_type(inner))
    if wrapper == "Array":
        return pa.list_(pa.field("item", arrow_type(inner), nullable=False))
    return arrow_type(inner)
