"""ClickHouse types as Arrow types."""

import pyarrow as pa
import pytest

from otel_llm.exporters.clickhouse.rows.schema import arrow_type


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
