"""ClickHouse's HTTP interface on the embedded engine."""

from otel_llm.exporters.clickhouse.interface.app import build_app

__all__ = ["build_app"]
