"""Proof of the rules with promtool: scenarios, mutations, and days without a false page.

`make test-alerts` runs it; promtool comes with Prometheus.
"""
