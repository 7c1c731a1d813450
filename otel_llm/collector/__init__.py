"""The embedded stack of `otel-llm up`: OTLP receiver and ClickHouse interface in one process."""
