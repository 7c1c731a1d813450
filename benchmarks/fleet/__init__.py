"""The ingest tier of 8,000 GPUs, scaled down: some nodes of them, each at its full rate."""
