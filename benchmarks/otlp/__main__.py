"""Measure, write `benchmarks/results/otlp.json` and `otlp.md`, and say what came out."""

import argparse
import statistics
import time
from typing import Any

from benchmarks import report
from benchmarks.otlp import measure, page, spans

_PACKAGES = ("otel-llm", "chdb", "opentelemetry-proto")


def main() -> None:
    """Run the benchmark; a million spans take about four minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="of a thousand spans each")
    result = collect(parser.parse_args().requests)
    report.write("otlp", result, page.render(result))
    print(page.render(result))


def collect(count: int) -> dict[str, Any]:
    """All figures, in the shape of `otlp.json`."""
    each = measure.spans_per_core_second(count)
    rates = {name: round(statistics.median(values)) for name, values in each.items()}
    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions(*_PACKAGES),
        "spans": count * spans.PER_REQUEST,
        "bytes_per_span": round(len(next(spans.requests(1))) / spans.PER_REQUEST),
        "spans_per_core_s": rates | {"check_decode": round(_in_a_row(rates, "check", "decode"))},
        "ratio_to_native_copy": {
            name: round(rates[name] / rates["copy"], 2)
            for name in ("check_decode_insert", "insert_native", "clickhouse_parses")
        }
        | {"decode_insert": round(_in_a_row(rates, "decode", "insert_native") / rates["copy"], 2)},
        "spread": {name: report.spread(values, 0) for name, values in each.items()},
        "method": page.METHOD,
    }


def _in_a_row(rates: dict[str, int], *stages: str) -> float:
    """Spans per core-second of stages one after the other."""
    return 1 / sum(1 / rates[stage] for stage in stages)


if __name__ == "__main__":
    main()
