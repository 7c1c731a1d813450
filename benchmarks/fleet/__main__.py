"""Run the ingest tier for some nodes of 8,000 GPUs, beside what `otel-llm size` says of it."""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.collector.ways import Collector, Store, version
from benchmarks.fleet import page, traffic
from benchmarks.fleet.send import Sent, Way, send_all
from benchmarks.fleet.traffic import NODES, PLAN, Sender
from benchmarks.ingest.flood import running, wait_empty
from benchmarks.store.cpu import spent
from otel_llm.sizing.measured import MEASURED
from otel_llm.sizing.model import size

RECEIVER, COLLECTOR = "our receiver", "the collector"
SPOOL_BYTES = 512 << 20
_COLLECTOR = "collector as deployed"
PATIENCE_S = 60.0
_AGO_S = 3600


def main() -> None:
    """Run the benchmark; takes about a minute and a half for each number of nodes and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--seconds", type=int, default=40)
    arguments = parser.parse_args()
    program = os.environ.get("OTELCOL", "")
    ways = [RECEIVER, *([COLLECTOR] if program else [])]
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for nodes in arguments.nodes:
        for way in ways:
            runs[way].append(run(way, nodes, arguments.seconds, program))
            print(f"{way}, {nodes} nodes: {runs[way][-1]}", flush=True)
    result = figures(runs, arguments.seconds, version(program) if program else "")
    report.write("fleet", result, page.render(result))
    print(page.render(result))


def run(way: str, nodes: int, seconds: int, program: str) -> dict[str, Any]:
    """Let so many nodes send one way into a new store, and count what it took.

    Raises:
        RuntimeError: a row is missing or doubled, or something was refused.
    """
    with ExitStack() as ending:
        work = Path(tempfile.mkdtemp(prefix="otel-llm-fleet-"))
        ending.callback(shutil.rmtree, work)
        base_ns = (int(time.time()) - _AGO_S) * 1_000_000_000
        senders = traffic.made(work / "source", base_ns, nodes, seconds)
        up = ending.enter_context(running(work / "data", SPOOL_BYTES))
        token = (work / "data/token").read_text(encoding="utf-8").strip()
        store = Store(up["pid"], up["otlp_url"], up["clickhouse_url"], token)
        pids, spans_url = [store.pid], store.otlp
        if way == COLLECTOR:
            collector = Collector(_COLLECTOR, program, work, store)
            ending.callback(collector.stop)
            collector.ready()
            pids, spans_url = [store.pid, collector.process.pid], collector.url
        before, bytes_before = _cpu_s(pids), _disk_bytes(store)
        sent = send_all(Way(store.clickhouse, token, spans_url), senders)
        _wait_stored(store, work / "data/spool", _rows(senders))
        cpu = [now - then for now, then in zip(_cpu_s(pids), before, strict=True)]
        stored_bytes = _disk_bytes(store) - bytes_before
        return _figures(nodes, seconds, sent, cpu, stored_bytes)


def _rows(senders: Sequence[Sender]) -> Counter[str]:
    """Rows that must come to be, by table."""
    every = len(senders[0]) if senders else 0
    gateways = sum(not sender[0].spans for sender in senders)
    nodes = len(senders) - gateways
    wanted = Counter(otel_traces=nodes * every * traffic.SPANS)
    of_gateways = traffic.of_gateways(nodes)
    for tables, count in ((traffic.OF_NODES, nodes), (of_gateways, gateways)):
        wanted.update({table.name: rows * count * every for table, rows in tables.items()})
    return wanted


def _wait_stored(store: Store, spool: Path, wanted: Counter[str]) -> None:
    """Wait until all rows are in their tables, once each, and nothing is merged any more."""
    wait_empty(spool)
    until = time.monotonic() + PATIENCE_S
    while (found := _found(store, wanted)) != wanted:
        if time.monotonic() > until:
            message = f"stored is {found}, sent was {wanted}"
            raise RuntimeError(message)
        time.sleep(0.2)
    quiet = 0
    while quiet < 3:
        quiet = 0 if store.ask("SELECT count() FROM system.merges") else quiet + 1
        time.sleep(0.5)


def _found(store: Store, wanted: Counter[str]) -> Counter[str]:
    return Counter({name: int(store.ask(f"SELECT count() FROM {name}")) for name in wanted})


def _disk_bytes(store: Store) -> int:
    """Bytes of the tables that are reckoned with."""
    names = ", ".join(f"'{name}'" for name in MEASURED.tables)
    sql = f"SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table IN ({names})"
    return int(store.ask(sql))


def _cpu_s(pids: Sequence[int]) -> list[float]:
    return [spent(pid).total for pid in pids]


def _figures(
    nodes: int, seconds: int, sent: list[Sent], cpu: list[float], stored_bytes: int
) -> dict[str, Any]:
    inserts = sorted(took for one in sent for took in one.insert_s)
    late = sorted(one.late_s for one in sent)
    return {
        "nodes": nodes, "gateways": traffic.gateways(nodes), "inserts": len(inserts),
        "cores": round(sum(cpu) / seconds, 3),
        "cores_by_process": [round(one / seconds, 3) for one in cpu],
        "bytes_per_day": round(stored_bytes / seconds * 86_400),
        "insert_ms": {"p50": _at(inserts, 0.5), "p95": _at(inserts, 0.95)},
        "late_ms": {"p50": _at(late, 0.5), "p95": _at(late, 0.95)},
    }  # fmt: skip


def _at(values: list[float], level: float) -> float:
    return round(values[min(len(values) - 1, int(level * len(values)))] * 1000, 1)


def figures(runs: dict[str, list[dict[str, Any]]], seconds: int, collector: str) -> dict[str, Any]:
    """In the shape of `fleet.json`: each run beside what `otel-llm size` says of as many nodes."""
    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "chdb") | {"collector": collector},
        "seconds": seconds,
        "fleet": {"gpus": PLAN.gpus, "calls_per_s": PLAN.calls_per_s, "nodes": NODES},
        "ways": {way: _way(way, each) for way, each in runs.items()},
    }


def _way(way: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    told = [one | {"said": _said(way, one["nodes"])} for one in runs]
    ratios = [one["cores"] / one["said"]["cores"] for one in told]
    # From the first to the last: what each node more costs, without what the processes cost idle.
    first, last = told[0], told[-1]
    per_node = (
        (last["cores"] - first["cores"]) / (last["nodes"] - first["nodes"])
        if last["nodes"] > first["nodes"]
        else last["cores"] / last["nodes"]
    )
    return {
        "runs": told,
        "cores_to_said": round(statistics.median(ratios), 2),
        "cores_per_node": round(per_node, 4),
        "fleet_cores": round(per_node * NODES, 1),
        "fleet_cores_said": _said(way, NODES)["cores"],
    }


def _said(way: str, nodes: int) -> dict[str, float]:
    """What the model says of so many nodes at the fleet's rates."""
    share = nodes / NODES
    plan = PLAN._replace(
        gpus=nodes * PLAN.gpus_per_node, calls_per_s=PLAN.calls_per_s * share,
    )  # fmt: skip
    found = size(plan)
    cores = found.store_cores
    if way == COLLECTOR:
        spans = MEASURED.tables["otel_traces"].per_core_s
        cores += found.collector_cores - found.rows_per_s["otel_traces"] / spans
    return {
        "cores": round(cores, 3),
        "bytes_per_day": round(sum(found.bytes_per_day.values())),
        "inserts_per_s": round(sum(found.inserts_per_s.values()), 1),
    }


if __name__ == "__main__":
    main()
