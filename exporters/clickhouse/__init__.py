"""ClickHouse: schema, client, writer, the embedded engine and its HTTP interface."""
