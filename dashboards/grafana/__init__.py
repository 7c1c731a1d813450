"""Grafana's JSON, typed: grafanalib for what it has, our own for what it lacks (ADR 16)."""
