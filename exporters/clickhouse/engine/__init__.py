"""The embedded ClickHouse: one process, one data directory."""

from otel_llm.exporters.clickhouse.engine.embedded import DATABASE, Engine, Handle

__all__ = ["DATABASE", "Engine", "Handle"]
