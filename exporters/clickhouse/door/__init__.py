"""The door: which statements may reach the embedded engine from outside."""

from otel_llm.exporters.clickhouse.door.judge import Judge, Verdict

__all__ = ["Judge", "Verdict"]
