"""Hooks for vLLM's V1 engine."""
