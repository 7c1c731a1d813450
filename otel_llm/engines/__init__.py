"""Hooks for engines, one package each."""
