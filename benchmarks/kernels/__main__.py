"""Measure, write `benchmarks/results/kernels.json` and `kernels.md`, and say what came out."""

import time
from typing import Any

from benchmarks import report
from benchmarks.kernels import measure, page, rows, worker


def main() -> None:
    """Run the benchmark; it takes about two minutes."""
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
            if name == "eager":
                for floor, copy in (("plain_read", False), ("plain_copy", True)):
                    shim[floor] = report.spread(measure.plain_ns(one, filled, copy=copy), 1)
                cached = filled[:1] * len(filled)
                shim["cached_full"] = report.spread(measure.shim_ns(one, cached, 1), 1)
        read = report.spread(measure.reader_rate(one), 0)
        hook = report.spread(worker.hook_us(one.shim), 3)
        events = report.spread(worker.event_us(), 3)
        record = report.spread(worker.record_us(), 3)
        set_step = report.spread(measure.set_step_us(one), 3)
        joined = report.spread(worker.join_rate(one), 0)
        callback = round(measure.callback_ns(one), 1)
    stored = rows.measure()
    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "numpy", "pyarrow", "chdb"),
        "shim_ns_per_record": shim["eager_full"]["median"],
        "reader_records_per_core_s": read["median"],
        "worker_hook_us": hook["median"],
        "rows_per_s": stored["rows_per_s"]["median"],
        "callback_ns": callback,
        "shim_ns": shim,
        "reader_records_per_core": read,
        "hook_us": hook,
        "event_hook_us": events,
        "event_record_us": record,
        "set_step_us": set_step,
        "joined_per_core_s": joined,
        "rows": stored,
        "method": page.METHOD,
        "owed": page.OWED,
    }


if __name__ == "__main__":
    main()
