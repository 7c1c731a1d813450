"""The tables, one statement per numbered `.sql` file, and how they are applied and kept."""

from otel_llm.exporters.clickhouse.schema.apply import (
    MIGRATIONS_TABLE,
    apply,
    pending,
    rendered,
)
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
    "Lifetime",
    "Statement",
    "alteration",
    "apply",
    "apply_retention",
    "lifetimes",
    "outdated",
    "pending",
    "rendered",
    "statements",
    "wanted",
]
