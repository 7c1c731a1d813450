"""otel-llm: follow one LLM request from the HTTP call through gateway, queue, step and kernel.

Importing this package imports nothing else: an engine process pays for what it uses.
"""

__version__ = "0.1.0"
