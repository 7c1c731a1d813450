"""A real vLLM for the demo and the tests: a model made on the spot, and the server."""
