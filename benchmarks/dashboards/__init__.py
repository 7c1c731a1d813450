"""Proof of the boards: every panel asked of a real store and a real Prometheus, and drawn."""
