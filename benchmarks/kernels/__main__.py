"""Measure, write `benchmarks/results/kernels.json` and `kernels.md`, and say what came out."""

import time
from typing import Any

from benchmarks import report
from benchmarks.kernels import measure, page


def main() -> None:
    """Run the benchmark; it takes about half a minute."""
    result = collect()
    report.write("kernels", result, page.render(result))
    print(page.render(result))


def collect() -> dict[str, Any]:
    """All figures, in the shape of `kernels.json`."""
    shim: dict[str, dict[str, float]] = {}
    with measure.bench() as one:
        for name, per_launch in (("eager", 1), ("graph", 300)):
            filled = one.fill(per_launch)
            for kept, raw_every in (("aggregates", 0), ("full", 1)):
                taken = measure.shim_ns(one, filled, raw_every)
                shim[f"{name}_{kept}"] = report.spread(taken, 1)
        read = report.spread(measure.reader_rate(one), 0)
        hook = report.spread(measure.hook_us(one), 3)
        callback = round(measure.callback_ns(one), 1)
    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "numpy"),
        "shim_ns_per_record": shim["eager_full"]["median"],
        "reader_records_per_core_s": read["median"],
        "worker_hook_us": hook["median"],
        "callback_ns": callback,
        "shim_ns": shim,
        "reader_records_per_core": read,
        "hook_us": hook,
        "method": page.METHOD,
        "owed": page.OWED,
    }


if __name__ == "__main__":
    main()
