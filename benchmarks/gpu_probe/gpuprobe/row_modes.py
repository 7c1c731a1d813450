"""Stage 1, inside the row: what works on this driver, one mode a process."""

from __future__ import annotations

import importlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from gpuprobe.child import BOTH_DOMAINS, Child
from gpuprobe.records import (
    ATTRIBUTE_POOL_LIMIT,
    DOMAIN_DRIVER,
    DOMAIN_NAMES,
    KIND_CONCURRENT_KERNEL,
    KIND_GRAPH_TRACE,
    KIND_MEMCPY,
    KIND_MEMSET,
    KIND_OVERHEAD,
    LAUNCHES,
    Row,
    in_words,
)
from gpuprobe.stats import describe
from gpuprobe.tracer import V1, V2, ShimTracer, Tracer, switch_launch_callbacks
from gpuprobe.workloads import DriverWork, Work

_EAGER_STEPS, _EAGER_KERNELS = 20, 50
_GRAPH_KERNELS = 50


def version(child: Child) -> None:
    """Version, clock and functions, before and after the driver starts."""
    tracer = child.tracer()
    child.put("clock_before_cuda", _clock(tracer))
    names = (
        "cuptiSubscribe_v2", "cuptiActivityRegisterCallbacks_v2", "cuptiActivityEnable_v2",
        "cuptiActivityEnableRuntimeApi", "cuptiActivityEnableDriverApi",
        "cuptiActivityGetStructSize", "cuptiActivityEnableHWTrace",
    )  # fmt: skip
    child.put("functions", {name: tracer.has(name) for name in names})
    work = child.work()
    child.put("clock_after_cuda", _clock(tracer))
    if isinstance(work, DriverWork):
        child.put("device", work.cuda.describe())
    child.put("version_after_cuda", tracer.version())


def both(child: Child) -> None:
    """Callbacks and kernel records, on before CUDA starts: are they complete and tied together?"""
    tracer = child.tracer()
    child.attach(tracer)
    tracer.keep_rows(1 << 20)
    work = child.work()
    free = work.free_bytes()
    expected = _eager(child, tracer, work) + _graph(child, tracer, work, replays_from=1000)
    counters = child.count(tracer, "counters", expected)
    child.put("device_bytes_taken", free - work.free_bytes())
    child.put("steps", _check_steps(tracer.take_rows(), _GRAPH_KERNELS))
    child.put("complete", _complete(counters, expected))
    child.put("skew", _skew(child, tracer, work))
    detach(child, tracer)


def callbacks(child: Child) -> None:
    """Launch callbacks only, one domain after the other: which domain sees every launch?"""
    tracer = child.tracer()
    child.attach(tracer, activity=False, domains=())
    work = child.work()
    work.capture(_GRAPH_KERNELS)
    replays = child.scaled(20, 3)
    before: dict[str, int] = {}
    for domains in ((DOMAIN_DRIVER,), (3 - DOMAIN_DRIVER,), BOTH_DOMAINS):
        key = " and ".join(DOMAIN_NAMES[domain] for domain in domains)
        refused = switch_launch_callbacks(tracer, True, domains)
        _eager(child, tracer, work)
        for _ in range(replays):
            work.replay()
        work.sync()
        switch_launch_callbacks(tracer, False, domains)
        counts = tracer.callback_counts()
        seen = {
            name: n - before.get(name, 0) for name, n in counts.items() if n > before.get(name, 0)
        }
        before = counts
        launched = _EAGER_STEPS * _EAGER_KERNELS + replays
        child.put(key, {"launched": launched, "seen": seen, "refused": refused})
    detach(child, tracer)


def activity(child: Child) -> None:
    """Kernel records only, without any subscriber."""
    tracer = child.tracer()
    child.attach(tracer, callbacks=False)
    work = child.work()
    expected = _eager(child, tracer, work) + _graph(child, tracer, work, replays_from=1000)
    counters = child.count(tracer, "counters", expected)
    child.put("complete", counters["kernels"] == expected)


def late(child: Child) -> None:
    """Attached after a graph was captured and replayed: does the old graph yield records?"""
    tracer = child.tracer()
    work = child.work()
    work.capture(_GRAPH_KERNELS)
    work.replay()
    work.sync()
    child.attach(tracer)
    tracer.keep_rows(1 << 20)
    replays = child.scaled(40, 4)
    _replay(tracer, work, replays, 1)
    old = child.count(tracer, "old_graph", replays * _GRAPH_KERNELS)
    work.capture(_GRAPH_KERNELS)
    _replay(tracer, work, replays, 1001)
    new = child.count(tracer, "old_and_new_graph", 2 * replays * _GRAPH_KERNELS)
    child.put("steps", _check_steps(tracer.take_rows(), _GRAPH_KERNELS))
    child.put(
        "complete",
        {
            "old_graph": old["kernels"] == replays * _GRAPH_KERNELS,
            "new_graph": new["kernels"] - old["kernels"] == replays * _GRAPH_KERNELS,
        },
    )
    detach(child, tracer)


def windows(child: Child) -> None:
    """On and off three times: are later windows as complete as the first?"""
    tracer = child.tracer()
    child.attach(tracer)
    tracer.keep_rows(1 << 20)
    work = child.work()
    work.capture(_GRAPH_KERNELS)
    replays = child.scaled(40, 4)
    seen = child.drain(tracer, 0)
    for window in range(1, 4):
        if window > 1:
            child.timed(f"enable {window}", lambda: tracer.kind(True, KIND_CONCURRENT_KERNEL))
        _replay(tracer, work, replays, window * 1000)
        now = child.drain(tracer, seen["kernels"] + replays * _GRAPH_KERNELS)
        rows = _check_steps(tracer.take_rows(), _GRAPH_KERNELS)
        kernels = now["kernels"] - seen["kernels"]
        child.put(
            f"window {window}", {"kernels": kernels, "expected": replays * _GRAPH_KERNELS, **rows}
        )
        child.timed(f"disable {window}", lambda: tracer.kind(False, KIND_CONCURRENT_KERNEL))
        _replay(tracer, work, replays, window * 1000 + 500)
        seen = child.drain(tracer, now["kernels"] + 1)
        child.put(
            f"while off {window}", {"kernels": seen["kernels"] - now["kernels"], "expected": 0}
        )
    detach(child, tracer)


def subscribers(child: Child) -> None:
    """A second subscriber in the same process, by the old call and by the new."""
    tracer = child.tracer()
    child.spec["work"] = "driver"
    child.work()
    for first, second in ((V1, V1), (V1, V2), (V2, V2)):
        code = tracer.subscribe(first)
        answer: dict[str, Any] = {"first": in_words(code)}
        if code == 0:
            code, name = tracer.subscribe_second(second)
            answer |= {"second": in_words(code), "says_first_is": name}
            answer["let second go"] = in_words(tracer.unsubscribe_second()) if code == 0 else "-"
            answer["let first go"] = in_words(tracer.unsubscribe())
        child.put(f"v{first} then v{second}", answer)


def new_api(child: Child) -> None:
    """The calls that take a subscriber (`_v2`), several subscribers allowed."""
    tracer = child.tracer()
    child.attach(tracer, api=V2)
    tracer.keep_rows(1 << 20)
    work = child.work()
    expected = _eager(child, tracer, work) + _graph(child, tracer, work, replays_from=1000)
    counters = child.count(tracer, "counters", expected)
    child.put("steps", _check_steps(tracer.take_rows(), _GRAPH_KERNELS))
    child.put("complete", _complete(counters, expected))
    child.timed("disable kernels", lambda: tracer.kind(False, KIND_CONCURRENT_KERNEL, V2))
    child.timed("unsubscribe", tracer.unsubscribe)


def graph_trace(child: Child) -> None:
    """One record per replay; then kernel records switched on as well."""
    tracer = child.tracer()
    child.attach(tracer, activity=False)
    child.must("register buffers", tracer.register)
    child.must("enable graph trace", lambda: tracer.kind(True, KIND_GRAPH_TRACE))
    tracer.keep_rows(1 << 20)
    work = child.work()
    replays = child.scaled(40, 4)
    work.capture(_GRAPH_KERNELS)
    _replay(tracer, work, replays, 1)
    first = child.count(tracer, "graph trace alone", 0)
    child.timed("enable kernels", lambda: tracer.kind(True, KIND_CONCURRENT_KERNEL))
    _replay(tracer, work, replays, 1001)
    second = child.count(tracer, "with kernels", first["kernels"] + 1)
    child.timed("disable graph trace", lambda: tracer.kind(False, KIND_GRAPH_TRACE))
    _replay(tracer, work, replays, 2001)
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
    expected = _eager(child, tracer, work)
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
    expected = _eager(child, tracer, work)
    counters = child.count(tracer, "counters", expected)
    child.put("complete", counters["copies"] == 2 * copies)
    detach(child, tracer)


def leave_attached(child: Child) -> None:
    """End the process in the ordinary way while attached: does it end cleanly?"""
    tracer = child.tracer()
    child.attach(tracer)
    work = child.work()
    expected = _eager(child, tracer, work)
    child.count(tracer, "counters", expected)


def injected(child: Child) -> None:
    """CUDA_INJECTION64_PATH: the driver starts the shim, no Python before it."""
    work = DriverWork()
    tracer = ShimTracer(child.spec["shim"])
    codes = [in_words(code) for code in tracer.injection_codes()]
    child.put("codes", dict(zip(("open", "subscribe", "register", "enable"), codes, strict=True)))
    child.put("cupti", {"loaded_from": child.spec["copy"]["label"], "version": tracer.version()})
    expected = _eager(child, tracer, work) + _graph(child, tracer, work, replays_from=1000)
    counters = child.count(tracer, "counters", expected)
    child.put("complete", _complete(counters, expected))


def profiler_after(child: Child) -> None:
    """After we let go, does PyTorch's own profiler still work in the same process?"""
    tracer = child.tracer()
    child.attach(tracer)
    work = child.work()
    child.count(tracer, "counters", _eager(child, tracer, work))
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


def detach(child: Child, tracer: Tracer) -> None:
    """The orderly way out: callbacks off, records off, flush, unsubscribe."""
    switch_launch_callbacks(tracer, False)
    child.timed("disable kernels", lambda: tracer.kind(False, KIND_CONCURRENT_KERNEL))
    child.timed("flush", tracer.flush)
    child.timed("unsubscribe", tracer.unsubscribe)


def _eager(child: Child, tracer: Tracer, work: Work) -> int:
    steps = child.scaled(_EAGER_STEPS, _EAGER_STEPS)
    for step in range(1, steps + 1):
        tracer.set_step(step)
        work.launch(_EAGER_KERNELS)
    work.sync()
    tracer.set_step(0)
    return steps * _EAGER_KERNELS


def _graph(child: Child, tracer: Tracer, work: Work, *, replays_from: int) -> int:
    """Capture and replay; the kernels run, and for PyTorch the one of its warm-up too."""
    before_capture = 0 if isinstance(work, DriverWork) else 1
    work.capture(_GRAPH_KERNELS)
    replays = child.scaled(40, 4)
    _replay(tracer, work, replays, replays_from)
    return before_capture + replays * _GRAPH_KERNELS


def _replay(tracer: Tracer, work: Work, replays: int, first_step: int) -> None:
    for step in range(first_step, first_step + replays):
        tracer.set_step(step)
        work.replay()
    work.sync()
    tracer.set_step(0)


def _complete(counters: dict[str, int], expected: int) -> bool:
    """All kernels seen, and all tied to a launch. A framework may run a few of its own beside."""
    return expected <= counters["kernels"] <= expected * 1.02 and counters["untagged"] == 0


def _check_steps(rows: list[Row], graph_kernels: int) -> dict[str, Any]:
    """Do all kernels of a replay carry one correlation id, and has every step its kernels?"""
    by_step: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_step[row.step].append(row)
    graphs = {step: found for step, found in by_step.items() if step >= 1000 or found[0].graph}
    return {
        "rows": len(rows),
        "graph_steps": len(graphs),
        "graph_steps_with_one_correlation_id": sum(
            len({row.correlation for row in found}) == 1 for found in graphs.values()
        ),
        "graph_steps_with_all_kernels": sum(len(f) == graph_kernels for f in graphs.values()),
        "rows_with_graph_id": sum(row.graph != 0 for row in rows),
        "rows_with_node_id": sum(row.graph_node != 0 for row in rows),
        "distinct_node_ids": len({row.graph_node for row in rows if row.graph_node}),
        "kernels_per_eager_step": sorted(
            Counter(len(found) for step, found in by_step.items() if 0 < step < 1000).items()
        )[:5],
    }


def _skew(child: Child, tracer: Tracer, work: Work) -> dict[str, Any]:
    """Each kernel alone between two reads of the wall clock: how far outside do its times lie?"""
    launches = child.scaled(200, 10)
    tracer.take_rows()
    base = tracer.counters()["kernels"]
    window: dict[int, tuple[int, int]] = {}
    for step in range(1, launches + 1):
        tracer.set_step(step)
        began = time.time_ns()
        work.launch(1)
        work.sync()
        window[step] = (began, time.time_ns())
    child.drain(tracer, base + launches)
    rows = [row for row in tracer.take_rows() if row.step in window]
    after_begin = [(row.start - window[row.step][0]) / 1e3 for row in rows]
    before_end = [(window[row.step][1] - row.end) / 1e3 for row in rows]
    outside = sum(a < 0 or b < 0 for a, b in zip(after_begin, before_end, strict=True))
    return {
        "rows": len(rows),
        "start_after_call_us": describe(after_begin),
        "end_before_return_us": describe(before_end),
        "kernel_us": describe([(row.end - row.start) / 1e3 for row in rows]),
        "outside": outside,
    }


def _clock(tracer: Tracer) -> dict[str, Any]:
    """CUPTI's clock between two reads of the wall clock."""
    before = time.time_ns()
    code, stamp = tracer.timestamp()
    after = time.time_ns()
    inside = before <= stamp <= after
    return {"code": in_words(code), "within_wall_clock_reads": inside, "bracket_ns": after - before}


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


SCENARIOS: dict[str, Callable[[Child], None]] = {
    "version": version,
    "both": both,
    "callbacks": callbacks,
    "activity": activity,
    "late": late,
    "windows": windows,
    "subscribers": subscribers,
    "new_api": new_api,
    "graph_trace": graph_trace,
    "api_records": api_records,
    "other_kinds": other_kinds,
    "leave_attached": leave_attached,
    "injected": injected,
    "profiler_after": profiler_after,
    "soak": soak,
}
