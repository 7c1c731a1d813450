"""What decoding OTLP costs, beside ClickHouse parsing it and beside ClickHouse copying a table."""
