"""Where facts go: ClickHouse and Prometheus."""
