"""The demo's gateway: an async reverse proxy with retries, circuit breakers and a limit."""
