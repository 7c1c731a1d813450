"""The node agent: journals in, fact rows and spans out. Start it with `run`."""

from otel_llm.agent.run import run

__all__ = ["run"]
