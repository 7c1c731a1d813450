"""Alert rules, generated from the names in `otel_llm.conventions`."""
