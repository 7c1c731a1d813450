"""Joules of requests, from readings of devices and joined steps."""
