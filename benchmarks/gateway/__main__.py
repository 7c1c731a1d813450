"""Measure, write `benchmarks/results/gateway.json` and `gateway.md`, and say what came out."""

import statistics
import time
from typing import Any

from benchmarks import report
from benchmarks.gateway import measure, page

_PACKAGES = ("otel-llm", "fastapi", "starlette", "opentelemetry-sdk", "prometheus-client")


def main() -> None:
    """Run the benchmark; takes about a minute."""
    result = collect()
    report.write("gateway", result, page.render(result))
    print(page.render(result))


def collect() -> dict[str, Any]:
    """All figures, in the shape of `gateway.json`."""
    short, long = measure.times_us(1), measure.times_us(measure.CHUNKS)
    chunks = measure.CHUNKS - 1

    def request(name: str, base: str = "bare") -> float:
        return round(statistics.median(measure.added(short, name, base)), 1)

    def chunk(name: str) -> float:
        more = statistics.median(measure.added(long, name))
        return round((more - statistics.median(measure.added(short, name))) / chunks, 2)

    bare_long, bare_short = statistics.median(long["bare"]), statistics.median(short["bare"])
    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions(*_PACKAGES),
        "request_us": request("gateway"),
        "chunk_us": chunk("gateway"),
        "request_us_opentelemetry": request("opentelemetry"),
        "chunk_us_opentelemetry": chunk("opentelemetry"),
        "request_us_without_sdk": request("gateway, no SDK"),
        "chunk_us_without_sdk": chunk("gateway, no SDK"),
        "attempt_us": request("gateway, attempt", "gateway"),
        "bare_request_us": round(bare_short, 1),
        "bare_chunk_us": round((bare_long - bare_short) / chunks, 2),
        "spread": {
            f"{name}, {count}": report.spread(values, 1)
            for count, times in ((1, short), (measure.CHUNKS, long))
            for name, values in times.items()
        },
        "method": page.METHOD,
    }


if __name__ == "__main__":
    main()
