"""Measure, write `benchmarks/results/collector.json` and `collector.md`, and say what came out."""

import argparse
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.collector import page
from benchmarks.collector.ways import DURABLE, WAYS, Collector, Round, Store, run_round, version
from benchmarks.ingest.load import request
from otel_llm.demo.stack import Stack

SPANS = 1000
OURS = "our receiver"


def main() -> None:
    """Run the benchmark; takes about five minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each way")
    parser.add_argument("--requests", type=int, default=60, help="requests of 1000 spans a round")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        taken = measure(Path(folder), os.environ["OTELCOL"], args.rounds, args.requests)
    result = figures(taken, args.requests * SPANS)
    report.write("collector", result, page.render(result))
    print(page.render(result))


def measure(work: Path, program: str, rounds: int, requests: int) -> dict[str, list[Round]]:
    """All rounds of each way, taken in turn; a first one of each is not counted."""
    with ExitStack() as ending:
        stack = Stack(work)
        ending.callback(stack.stop)
        stack.start_up()
        told = stack.children["up"].ready()
        token = (stack.data_dir / "token").read_text().strip()
        store = Store(told["pid"], told["otlp_url"], told["clickhouse_url"], token)
        ways: dict[str, tuple[str, list[int]]] = {OURS: (store.otlp, [store.pid])}
        for name in WAYS:
            collector = Collector(name, program, work, store)
            ending.callback(collector.stop)
            collector.ready()
            ways[name] = (collector.url, [store.pid, collector.process.pid])
        taken: dict[str, list[Round]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, (url, pids) in ways.items():
                # The store drops a block that it knows, so each way's spans have ids of their own.
                bodies = [request(SPANS) for _ in range(requests)]
                came = run_round(store, url, pids, bodies)
                if number:
                    taken[name].append(came)
    return taken


def figures(taken: dict[str, list[Round]], spans: int) -> dict[str, Any]:
    """In the shape of `collector.json`."""
    per_core = {name: [one.spans / one.cpu_s for one in each] for name, each in taken.items()}
    medians = {name: statistics.median(each) for name, each in per_core.items()}
    durable = max(medians[name] for name in DURABLE)
    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "chdb")
        | {"collector": version(os.environ["OTELCOL"])},
        # To the best of those that keep what they acknowledge, as ours does.
        "ratio_to_collector_per_core": round(medians[OURS] / durable, 2),
        "rounds": len(taken[OURS]),
        "spans_per_round": spans,
        "ways": {
            name: {
                "spans_per_core_s": report.spread(each, 0),
                "wall_s": report.spread([one.wall_s for one in taken[name]]),
                "ratio": round(medians[OURS] / medians[name], 2),
                "on_disk_before_ack": name == OURS or name in DURABLE,
            }
            for name, each in per_core.items()
        },
        "method": page.METHOD,
    }


if __name__ == "__main__":
    main()
