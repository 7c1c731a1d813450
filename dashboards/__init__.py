"""Dashboards, generated from the names in `otel_llm.conventions`."""
