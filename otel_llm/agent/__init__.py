"""The node agent: journals in, fact rows and spans out. `otel_llm.agent.run` starts it."""
