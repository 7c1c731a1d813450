"""Drills: faults in the demo's stack, and the alerts of a real Prometheus and Alertmanager.

`make drill` runs all of them and writes `results/drills.json`, `drills.md` and `docs/drills.md`.
"""
