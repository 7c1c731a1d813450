"""What a million calls cost, from the sizes of rows and the CPU that each took."""

from typing import Any

DEMO = {
    "llm_gateway_calls": 320,
    "llm_attempts": 331,
    "llm_requests": 348,
    "llm_steps": 8442,
    "otel_traces": 9576,
    "otel_traces_trace_id_ts": 320,
}
"""Rows that one run of `otel-llm demo` left; beside them are kernels, which depend on the model."""

MILLION = 1_000_000


def per_million_calls(
    bytes_per_row: dict[str, float], ingested: dict[str, Any]
) -> dict[str, float | dict[str, float]]:
    """Bytes on disk and CPU seconds of the store for a million calls of the demo's mix.

    The view that fills `otel_traces_trace_id_ts` is in the CPU of spans.
    """
    rows = {table: MILLION * count / DEMO["llm_gateway_calls"] for table, count in DEMO.items()}
    spans_s = rows["otel_traces"] / ingested["spans_per_core_s"]
    return {
        "bytes": round(sum(rows[table] * bytes_per_row[table] for table in rows)),
        "spans_core_s": round(spans_s, 1),
        "facts_core_s": {
            size: round(_facts_s(rows, ingested["facts"], size), 1) for size in ("small", "large")
        },
    }


def _facts_s(rows: dict[str, float], facts: dict[str, Any], size: str) -> float:
    return sum(rows[table] / one[size]["rows_per_core_s"] for table, one in facts.items())
