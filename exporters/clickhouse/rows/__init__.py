"""Facts to Arrow: the blocks that the agent inserts into ClickHouse."""

from otel_llm.exporters.clickhouse.rows.encode import (
    Block,
    Encoded,
    encode_blocks,
    encode_columns,
    salvage_blocks,
)
from otel_llm.exporters.clickhouse.rows.schema import arrow_schema

__all__ = [
    "Block",
    "Encoded",
    "arrow_schema",
    "encode_blocks",
    "encode_columns",
    "salvage_blocks",
]
