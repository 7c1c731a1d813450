"""The tables, one statement per numbered `.sql` file, and how they are applied and kept."""

from otel_llm.exporters.clickhouse.schema.apply import (
    MIGRATIONS_TABLE,
    apply,
    pending,
)
from otel_llm.exporters.clickhouse.schema.cluster import rendered
from otel_llm.exporters.clickhouse.schema.columns import columns
from otel_llm.exporters.clickhouse.schema.differences import Difference, differences
from otel_llm.exporters.clickhouse.schema.retention import (
    alteration,
    apply_retention,
    outdated,
    wanted,
)
from otel_llm.exporters.clickhouse.schema.statements import (
    Lifetime,
    Statement,
    lifetimes,
    statements,
)

__all__ = [
    "MIGRATIONS_TABLE",
    "Difference",
    "Lifetime",
    "Statement",
    "alteration",
    "apply",
    "apply_retention",
    "columns",
    "differences",
    "lifetimes",
    "outdated",
    "pending",
    "rendered",
    "statements",
    "wanted",
]
