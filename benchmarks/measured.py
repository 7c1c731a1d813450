"""Takes the figures that `otel-llm size` reckons with out of `benchmarks/results`.

`python -m benchmarks.measured` writes `otel_llm/sizing/measured.json`; `--check` fails if that
differs.
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS

TARGET = Path(__file__).parent.parent / "otel_llm" / "sizing" / "measured.json"

# Tables whose inserts `make bench-store` measures, and those that they stand in for: a rollup
# depends on `llm_requests`, one on `llm_request_energy`, none on the tables of steps and devices.
_INSERTS = {
    "llm_gateway_calls": "llm_gateway_calls",
    "llm_attempts": "llm_attempts",
    "llm_requests": "llm_requests",
    "llm_request_energy": "llm_requests",
    "llm_steps": "llm_steps",
    "llm_step_kernels": "llm_steps",
    "llm_kernels": "llm_steps",
    "gpu_power": "llm_steps",
    "gpu_energy_ledger": "llm_steps",
}

# Tables whose rows `make bench-schema` measures, and those that they stand in for.
_TABLES = {
    "llm_gateway_calls": "llm_gateway_calls",
    "llm_attempts": "llm_gateway_calls",
    "llm_requests": "llm_requests",
    "llm_request_energy": "llm_requests",
    "llm_steps": "llm_steps",
    "llm_step_kernels": "llm_step_kernels",
    "llm_kernels": "llm_kernels",
    "gpu_power": "gpu_power",
    "gpu_energy_ledger": "gpu_power",
}


def measured() -> dict[str, Any]:
    """The figures, in the shape of `otel_llm.sizing.Measured`."""
    store, schema = _read("store"), _read("schema")["tables"]
    # Spans were measured in the requests in which they come, so their inserts are in the figure.
    spans = [store["bytes_per_span"], store["ingest"]["spans_per_core_s"], "otel_traces", 0.0, ""]
    facts = store["ingest"]["facts"]
    rows = {
        name: [
            schema[of]["bytes_per_row"], schema[of]["made_and_inserted_rows_per_core_s"], of,
            _insert_s(facts[_INSERTS[name]]), _INSERTS[name],
        ]
        for name, of in _TABLES.items()
    }  # fmt: skip
    ways = _read("collector")["ways"]
    return {
        "machine": store["machine"]["processor"],
        "tables": {"otel_traces": spans, **rows},
        "span_wire_bytes": _read("otlp")["bytes_per_span"],
        "collector_spans_per_core_s": ways["collector as deployed"]["spans_per_core_s"]["median"],
        "device_core_share": _read("devices")["core_percent"] / 100,
        "attribution_core_share": _read("energy")["attribution_ms_per_s"]["median"] / 1000,
        "hook_step_us": _read("hooks")["step_us"],
    }


def _insert_s(fact: dict[str, dict[str, float]]) -> float:
    """Core-seconds of an insert without rows: the line through a small block and a large one."""
    (small, small_s), (large, large_s) = (
        (one["rows_per_block"], one["rows_per_block"] / one["rows_per_core_s"])
        for one in (fact["small"], fact["large"])
    )
    return round(small_s - small * (large_s - small_s) / (large - small), 5)


def text() -> str:
    """The file's text."""
    return json.dumps(measured(), indent=2) + "\n"


def _read(name: str) -> Any:  # noqa: ANN401  JSON
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def main() -> int:
    """Write the file, or check it."""
    if "--check" not in sys.argv:
        TARGET.write_text(text(), "utf-8")
    elif TARGET.read_text("utf-8") != text():
        sys.stderr.write(f"Out of date: {TARGET}. Run: make generate\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
