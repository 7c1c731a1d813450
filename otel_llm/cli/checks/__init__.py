"""What `otel-llm doctor` looks at: one file per part of the stack, each a list of findings."""
