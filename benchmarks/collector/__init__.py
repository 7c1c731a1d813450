"""Our receiver beside the real OpenTelemetry Collector, into one store."""
