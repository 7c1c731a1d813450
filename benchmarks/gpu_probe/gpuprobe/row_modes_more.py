"""Stage 1, inside the row: other kinds of records, other ways to attach, and endurance."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gpuprobe.child import Child
from gpuprobe.records import (
    ATTRIBUTE_POOL_LIMIT,
    KIND_CONCURRENT_KERNEL,
    KIND_GRAPH_TRACE,
    KIND_MEMCPY,
    KIND_MEMSET,
    KIND_OVERHEAD,
    LAUNCHES,
    in_words,
)
from gpuprobe.row_modes import GRAPH_KERNELS, complete, detach, eager, graph, replay
from gpuprobe.tracer import ShimTracer
from gpuprobe.workloads import DriverWork


def graph_trace(child: Child) -> None:
    """One record per replay; then kernel records switched on as well."""
    tracer = child.tracer()
    child.attach(tracer, activity=False)
    child.must("register buffers", tracer.register)
    child.must("enable graph trace", lambda: tracer.kind(True, KIND_GRAPH_TRACE))
    tracer.keep_rows(1 << 20)
    work = child.work()
    replays = child.scaled(40, 4)
    work.capture(GRAPH_KERNELS)
    replay(tracer, work, replays, 1)
    first = child.count(tracer, "graph trace alone", 0)
    child.timed("enable kernels", lambda: tracer.kind(True, KIND_CONCURRENT_KERNEL))
    replay(tracer, work, replays, 1001)
    second = child.count(tracer, "with kernels", first["kernels"] + 1)
    child.timed("disable graph trace", lambda: tracer.kind(False, KIND_GRAPH_TRACE))
    replay(tracer, work, replays, 2001)
    third = child.count(tracer, "kernels alone again", second["kernels"] + 1)
    child.put("replays", replays)
    child.put("complete", first["graphs"] == replays)
    child.put("kernels_after_graph_trace", third["kernels"] - second["kernels"])
    detach(child, tracer)


def api_records(child: Child) -> None:
    """API records of launches alone, by function: are other functions left out?"""
    tracer = child.tracer()
    child.attach(tracer)
    refused = {}
    for domain, launches in LAUNCHES.items():
        for cbid, name in launches.items():
            code = tracer.api_record(True, domain, cbid)
            if code:
                refused[name] = in_words(code)
    child.put("refused", refused)
    work = child.work()
    expected = eager(tracer, work)
    counters = child.count(tracer, "counters", expected)
    child.put("api_records_per_launch", counters["apis"] / expected)
    detach(child, tracer)


def other_kinds(child: Child) -> None:
    """Copies, fills and CUPTI's own overhead beside kernels."""
    tracer = child.tracer()
    child.spec["work"] = "driver"
    child.attach(tracer)
    for name, kind in (
        ("memcpy", KIND_MEMCPY),
        ("memset", KIND_MEMSET),
        ("overhead", KIND_OVERHEAD),
    ):
        child.timed(f"enable {name}", partial(tracer.kind, True, kind))
    work = DriverWork()
    copies = child.scaled(200, 5)
    for _ in range(copies):
        work.cuda.copy_and_set()
    expected = eager(tracer, work)
    counters = child.count(tracer, "counters", expected)
    child.put("complete", counters["copies"] == 2 * copies)
    detach(child, tracer)


def leave_attached(child: Child) -> None:
    """End the process in the ordinary way while attached: does it end cleanly?"""
    tracer = child.tracer()
    child.attach(tracer)
    work = child.work()
    expected = eager(tracer, work)
    child.count(tracer, "counters", expected)


def injected(child: Child) -> None:
    """CUDA_INJECTION64_PATH: the driver starts the shim, no Python before it."""
    work = DriverWork()
    tracer = ShimTracer(child.spec["shim"])
    codes = [in_words(code) for code in tracer.injection_codes()]
    child.put("codes", dict(zip(("open", "subscribe", "register", "enable"), codes, strict=True)))
    child.put("cupti", {"loaded_from": child.spec["copy"]["label"], "version": tracer.version()})
    expected = eager(tracer, work) + graph(child, tracer, work, replays_from=1000)
    counters = child.count(tracer, "counters", expected)
    child.put("complete", complete(counters, expected))


def profiler_after(child: Child) -> None:
    """After we let go, does PyTorch's own profiler still work in the same process?"""
    tracer = child.tracer()
    child.attach(tracer)
    work = child.work()
    child.count(tracer, "counters", eager(tracer, work))
    detach(child, tracer)
    profiler: Any = importlib.import_module("torch.profiler")
    kinds = profiler.ProfilerActivity
    with profiler.profile(activities=[kinds.CUDA, kinds.CPU]) as session:
        work.launch(20)
        work.sync()
    kernels = [e for e in session.events() if "cuda" in str(getattr(e, "device_type", "")).lower()]
    child.put("profiler_kernels", len(kernels))
    child.put("complete", len(kernels) >= 20)
    child.put("subscribe_again", in_words(tracer.subscribe()))


def soak(child: Child) -> None:
    """Many kernels from graphs with a small or the default pool: lost times, memory growth.

    parcagpu#23 saw records with no times after about 25 million graph kernels, and sooner with a
    device buffer pool of 8.
    """
    tracer = child.tracer()
    if child.spec.get("pool"):
        child.timed(
            "pool limit", lambda: tracer.attribute(ATTRIBUTE_POOL_LIMIT, child.spec["pool"], 8)
        )
    child.attach(tracer)
    work = child.work()
    nodes = child.scaled(500, 50)
    work.capture(nodes)
    free, began, replays, trail = work.free_bytes(), time.monotonic(), 0, []
    next_flush = began
    while time.monotonic() - began < child.spec["seconds"]:
        for _ in range(20):
            tracer.set_step(replays + 1)
            work.replay()
            replays += 1
        work.sync()
        if time.monotonic() > next_flush:
            next_flush += 0.5
            tracer.flush()
            counters = tracer.counters()
            trail.append(
                [round(time.monotonic() - began, 2), counters["kernels"], counters["zero_time"],
                 counters["reversed_time"], free - work.free_bytes(), _resident_bytes()]
            )  # fmt: skip
            child.put("trail", trail)
    child.put(
        "trail_columns", ["s", "kernels", "zero", "reversed", "device_bytes", "resident_bytes"]
    )
    counters = child.count(tracer, "counters", replays * nodes)
    child.put("complete", counters["kernels"] == replays * nodes and counters["zero_time"] == 0)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


SCENARIOS: dict[str, Callable[[Child], None]] = {
    "graph_trace": graph_trace,
    "api_records": api_records,
    "other_kinds": other_kinds,
    "leave_attached": leave_attached,
    "injected": injected,
    "profiler_after": profiler_after,
    "soak": soak,
}
