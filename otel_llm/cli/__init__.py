"""The program `otel-llm`: one file per command."""
