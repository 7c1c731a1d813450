"""Joules per request: an account that closes. Pure functions and plain state; no clock, no I/O."""
