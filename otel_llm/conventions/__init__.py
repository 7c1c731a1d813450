"""Every name, declared once: spans, attributes, metrics, tables.

Standard names where a convention exists (`gen_ai.*`, `http.*`); ours are `otel_llm.*`. The GenAI
conventions are unreleased and moving, so their names stand in this package alone. Dashboards and
alert rules import from here: renaming one breaks the build, not the on-call.
"""

from otel_llm.conventions.columns import Column, Table
from otel_llm.conventions.metrics import ALL_METRICS, Layer, Metric, MetricKind, Metrics
from otel_llm.conventions.rollups import ALL_ROLLUPS, Rollups
from otel_llm.conventions.rules import (
    ALL_RECORDED,
    ALL_SIGNALS,
    Recorded,
    Signal,
    Signals,
)
from otel_llm.conventions.spans import (
    GENAI_DIALECT,
    MAX_TENANTS,
    OTHER_TENANT,
    TRACESTATE_KEY,
    UNKNOWN_TENANT,
    Attr,
    EventName,
    SpanName,
)
from otel_llm.conventions.tables import ALL_TABLES, Tables

__all__ = [
    "ALL_METRICS",
    "ALL_RECORDED",
    "ALL_ROLLUPS",
    "ALL_SIGNALS",
    "ALL_TABLES",
    "GENAI_DIALECT",
    "MAX_TENANTS",
    "OTHER_TENANT",
    "TRACESTATE_KEY",
    "UNKNOWN_TENANT",
    "Attr",
    "Column",
    "EventName",
    "Layer",
    "Metric",
    "MetricKind",
    "Metrics",
    "Recorded",
    "Rollups",
    "Signal",
    "Signals",
    "SpanName",
    "Table",
    "Tables",
]
