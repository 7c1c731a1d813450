"""The tables, one statement per numbered `.sql` file, and how they are applied."""

from otel_llm.exporters.clickhouse.schema.apply import (
    MIGRATIONS_TABLE,
    Statement,
    apply,
    pending,
    statements,
)

__all__ = ["MIGRATIONS_TABLE", "Statement", "apply", "pending", "statements"]
