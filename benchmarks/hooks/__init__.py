"""What the hooks cost an engine: `python -m benchmarks.hooks`."""
