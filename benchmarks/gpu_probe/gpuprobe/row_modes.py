"""Stage 1, inside the row: what works on this driver, one mode a process."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from gpuprobe.child import BOTH_DOMAINS, Child
from gpuprobe.records import (
    DOMAIN_DRIVER,
    DOMAIN_NAMES,
    KIND_CONCURRENT_KERNEL,
    Row,
    in_words,
)
from gpuprobe.stats import describe
from gpuprobe.tracer import V1, V2, Tracer, switch_launch_callbacks
from gpuprobe.workloads import DriverWork, Work

_EAGER_STEPS, _EAGER_KERNELS = 20, 50
GRAPH_KERNELS = 50


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
    expected = eager(tracer, work) + graph(child, tracer, work, replays_from=1000)
    counters = child.count(tracer, "counters", expected)
    child.put("device_bytes_taken", free - work.free_bytes())
    child.put("steps", _check_steps(tracer.take_rows(), GRAPH_KERNELS))
    child.put("complete", complete(counters, expected))
    child.put("skew", _skew(child, tracer, work))
    detach(child, tracer)


def callbacks(child: Child) -> None:
    """Launch callbacks only, one domain after the other: which domain sees every launch?"""
    tracer = child.tracer()
    child.attach(tracer, activity=False, domains=())
    work = child.work()
    work.capture(GRAPH_KERNELS)
    replays = child.scaled(20, 3)
    before: dict[str, int] = {}
    for domains in ((DOMAIN_DRIVER,), (3 - DOMAIN_DRIVER,), BOTH_DOMAINS):
        key = " and ".join(DOMAIN_NAMES[domain] for domain in sorted(domains))
        refused = switch_launch_callbacks(tracer, True, domains)
        eager(tracer, work)
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
    expected = eager(tracer, work) + graph(child, tracer, work, replays_from=1000)
    counters = child.count(tracer, "counters", expected)
    child.put("complete", counters["kernels"] == expected)


def late(child: Child) -> None:
    """Attached after a graph was captured and replayed: does the old graph yield records?"""
    tracer = child.tracer()
    work = child.work()
    work.capture(GRAPH_KERNELS)
    work.replay()
    work.sync()
    child.attach(tracer)
    tracer.keep_rows(1 << 20)
    replays = child.scaled(40, 4)
    replay(tracer, work, replays, 1)
    old = child.count(tracer, "old_graph", replays * GRAPH_KERNELS)
    work.capture(GRAPH_KERNELS)
    replay(tracer, work, replays, 1001)
    new = child.count(tracer, "old_and_new_graph", 2 * replays * GRAPH_KERNELS)
    child.put("steps", _check_steps(tracer.take_rows(), GRAPH_KERNELS))
    child.put(
        "complete",
        {
            "old_graph": old["kernels"] == replays * GRAPH_KERNELS,
            "new_graph": new["kernels"] - old["kernels"] == replays * GRAPH_KERNELS,
        },
    )
    detach(child, tracer)


def windows(child: Child) -> None:
    """On and off three times: are later windows as complete as the first?"""
    tracer = child.tracer()
    child.attach(tracer)
    tracer.keep_rows(1 << 20)
    work = child.work()
    work.capture(GRAPH_KERNELS)
    replays = child.scaled(40, 4)
    seen = child.drain(tracer, 0)
    whole = []
    for window in range(1, 4):
        if window > 1:
            child.timed(f"enable {window}", lambda: tracer.kind(True, KIND_CONCURRENT_KERNEL))
        replay(tracer, work, replays, window * 1000)
        now = child.drain(tracer, seen["kernels"] + replays * GRAPH_KERNELS)
        rows = _check_steps(tracer.take_rows(), GRAPH_KERNELS)
        kernels = now["kernels"] - seen["kernels"]
        expected = replays * GRAPH_KERNELS
        one_id = rows["graph_steps_with_one_correlation_id"] == replays
        child.put(f"window {window}", {"kernels": kernels, "expected": expected, **rows})
        child.timed(f"disable {window}", lambda: tracer.kind(False, KIND_CONCURRENT_KERNEL))
        replay(tracer, work, replays, window * 1000 + 500)
        seen = child.drain(tracer, now["kernels"] + 1)
        off = seen["kernels"] - now["kernels"]
        child.put(f"while off {window}", {"kernels": off, "expected": 0})
        whole.append(kernels == expected and one_id and off == 0)
    child.put("complete", whole)
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
    expected = eager(tracer, work) + graph(child, tracer, work, replays_from=1000)
    counters = child.count(tracer, "counters", expected)
    child.put("steps", _check_steps(tracer.take_rows(), GRAPH_KERNELS))
    child.put("complete", complete(counters, expected))
    child.timed("disable kernels", lambda: tracer.kind(False, KIND_CONCURRENT_KERNEL, V2))
    child.timed("unsubscribe", tracer.unsubscribe)


def detach(child: Child, tracer: Tracer) -> None:
    """The orderly way out: callbacks off, records off, flush, unsubscribe."""
    switch_launch_callbacks(tracer, False)
    child.timed("disable kernels", lambda: tracer.kind(False, KIND_CONCURRENT_KERNEL))
    child.timed("flush", tracer.flush)
    child.timed("unsubscribe", tracer.unsubscribe)


def eager(tracer: Tracer, work: Work) -> int:
    """Run the eager steps, numbered from 1; returns the kernels run."""
    for step in range(1, _EAGER_STEPS + 1):
        tracer.set_step(step)
        work.launch(_EAGER_KERNELS)
    work.sync()
    tracer.set_step(0)
    return _EAGER_STEPS * _EAGER_KERNELS


def graph(child: Child, tracer: Tracer, work: Work, *, replays_from: int) -> int:
    """Capture and replay; the kernels run, and for PyTorch the one of its warm-up too."""
    before_capture = 0 if isinstance(work, DriverWork) else 1
    work.capture(GRAPH_KERNELS)
    replays = child.scaled(40, 4)
    replay(tracer, work, replays, replays_from)
    return before_capture + replays * GRAPH_KERNELS


def replay(tracer: Tracer, work: Work, replays: int, first_step: int) -> None:
    """Replay the graph so many times, one step each."""
    for step in range(first_step, first_step + replays):
        tracer.set_step(step)
        work.replay()
    work.sync()
    tracer.set_step(0)


def complete(counters: dict[str, int], expected: int) -> bool:
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


SCENARIOS: dict[str, Callable[[Child], None]] = {
    "version": version,
    "both": both,
    "callbacks": callbacks,
    "activity": activity,
    "late": late,
    "windows": windows,
    "subscribers": subscribers,
    "new_api": new_api,
}
