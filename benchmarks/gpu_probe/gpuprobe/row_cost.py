"""Stage 2, inside the row: what tracing costs a launch, and a decode step."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from gpuprobe.child import BOTH_DOMAINS, Child
from gpuprobe.records import DOMAIN_DRIVER, DOMAIN_RUNTIME, KIND_CONCURRENT_KERNEL, KIND_GRAPH_TRACE
from gpuprobe.stats import describe, median, paired_ratio
from gpuprobe.tracer import ShimTracer, Tracer, switch_launch_callbacks
from gpuprobe.workloads import Decode, DriverWork

FLUSH_EVERY_S = 0.5
MODES = ("off", "callbacks", "activity", "both")
_SEED = 20


class Mode(NamedTuple):
    """What is switched on."""

    callbacks: tuple[int, ...]
    activity: bool


SWITCHES = {
    "off": Mode((), False),
    "driver callbacks": Mode((DOMAIN_DRIVER,), False),
    "runtime callbacks": Mode((DOMAIN_RUNTIME,), False),
    "callbacks": Mode(BOTH_DOMAINS, False),
    "activity": Mode((), True),
    "both": Mode(BOTH_DOMAINS, True),
}


class Block(NamedTuple):
    """Some steps in a row: wall nanoseconds of each, CPU nanoseconds of all threads together."""

    steps_ns: list[int]
    cpu_ns: int


def launches(child: Child) -> None:
    """Nanoseconds per kernel launch and per graph launch, looped in C, modes alternating."""
    if not child.spec.get("shim"):
        msg = (
            "launch cost needs the C shim; without a compiler or a carried build it is not measured"
        )
        raise RuntimeError(msg)
    tracer = child.tracer()
    assert isinstance(tracer, ShimTracer)
    work = DriverWork()
    work.cuda.set_rounds(1)
    work.capture(100)
    samples: dict[str, dict[str, list[float]]] = {"before": {}}
    for _ in range(child.scaled(20, 2)):
        _launch_once(child, tracer, work, samples["before"])
    child.must("subscribe", tracer.subscribe)
    child.must("register buffers", tracer.register)
    _switch(tracer, "off", "both")
    work.capture(100)
    order = random.Random(_SEED)
    modes = ["off", "driver callbacks", "callbacks", "activity", "both"]
    current = "both"
    for _ in range(child.scaled(30, 2)):
        order.shuffle(modes)
        for mode in modes:
            _switch(tracer, current, mode)
            current = mode
            _launch_once(child, tracer, work, samples.setdefault(mode, {}))
            tracer.flush()
        child.put("launch_ns", _launch_summary(samples))
    _switch(tracer, current, "off")
    tracer.unsubscribe()
    for _ in range(child.scaled(20, 2)):
        _launch_once(child, tracer, work, samples.setdefault("after", {}))
    child.put("launch_ns", _launch_summary(samples))
    child.put("added_ns_per_launch", _added(samples))
    child.put("set_step_ns", _set_step_ns(tracer))
    child.put("counters", tracer.counters())


def _launch_once(
    child: Child, tracer: ShimTracer, work: DriverWork, into: dict[str, list[float]]
) -> None:
    """One burst each, short enough that the launch queue never fills."""
    cuda = work.cuda
    stream, function = cuda.stream.value or 0, cuda.function.value or 0
    kernels, graphs = child.scaled(400, 20), child.scaled(20, 2)
    kernel_call, graph_call = cuda.address("cuLaunchKernel"), cuda.address("cuGraphLaunch")
    work.sync()
    ns = tracer.launch_loop(kernel_call, function, stream, cuda.parameters, kernels)
    work.sync()
    into.setdefault("kernel", []).append(ns / kernels)
    ns = tracer.graph_loop(graph_call, work.graph.value or 0, stream, graphs)
    work.sync()
    into.setdefault("graph of 100", []).append(ns / graphs)


def _launch_summary(samples: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    return {
        what: {mode: describe(found[what]) for mode, found in samples.items() if what in found}
        for what in ("kernel", "graph of 100")
    }


def _added(samples: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """What each mode adds to a launch over `off` of the same round: median of the differences."""
    added: dict[str, dict[str, float]] = {}
    for what in ("kernel", "graph of 100"):
        base = samples["off"][what]
        added[what] = {
            mode: round(median([b - a for a, b in zip(base, found[what], strict=True)]), 1)
            for mode, found in samples.items()
            if mode not in {"before", "off", "after"}
        }
    return added


def _set_step_ns(tracer: Tracer) -> float:
    calls = 20000
    began = time.perf_counter_ns()
    for step in range(calls):
        tracer.set_step(step)
    return (time.perf_counter_ns() - began) / calls


def alternating(child: Child) -> None:
    """One decode loop; modes switched at run time, in random order in each round."""
    tracer = child.tracer()
    decode = child.decode()
    child.put("workload", decode.description)
    decode.eager_step()
    decode.capture()
    loop = _Loop(child, decode, tracer)
    share = child.spec["seconds"] / 2
    for kind in ("eager", "graph"):
        loop.rounds(f"{kind} before attach", kind, ("nothing",), share * 0.15)
    began = time.perf_counter()
    child.must("subscribe", tracer.subscribe)
    child.must("register buffers", tracer.register)
    _switch(tracer, "off", "both")
    child.put("late_attach_s", round(time.perf_counter() - began, 3))
    began = time.perf_counter()
    decode.eager_step()
    child.put("first_traced_step_s", round(time.perf_counter() - began, 3))
    decode.capture()
    _switch(tracer, "both", "off")
    for kind in ("eager", "graph"):
        loop.rounds(kind, kind, MODES, share * 0.7)
    tracer.unsubscribe()
    for kind in ("eager", "graph"):
        loop.rounds(f"{kind} after detach", kind, ("nothing",), share * 0.15)
    child.put("counters", tracer.counters())


def process(child: Child) -> None:
    """One decode loop in one mode from before CUDA starts, as in production."""
    mode = child.spec["mode"]
    tracer = None if mode == "nothing" else child.tracer()
    if tracer:
        child.attach(
            tracer, callbacks=mode in {"callbacks", "both"}, activity=mode in {"activity", "both"}
        )
    if tracer and mode == "graph trace":
        child.must("register buffers", tracer.register)
        child.must("enable graph trace", lambda: tracer.kind(True, KIND_GRAPH_TRACE))
    began = time.perf_counter()
    decode = child.decode()
    child.put("workload", decode.description)
    decode.eager_step()
    decode.capture()
    child.put("start_s", round(time.perf_counter() - began, 3))
    loop = _Loop(child, decode, tracer)
    loop.current = mode
    loop.fixed = True
    for kind in ("eager", "graph"):
        loop.rounds(kind, kind, (mode,), child.spec["seconds"] / 2)
    child.put("free_bytes", decode.free_bytes())
    if tracer:
        child.put("counters", child.drain(tracer, loop.steps_run * 100000))
        child.put("callbacks_by_function", tracer.callback_counts())


class _Loop:
    """Runs blocks of steps in modes and reports medians."""

    def __init__(self, child: Child, decode: Decode, tracer: Tracer | None) -> None:
        self._child = child
        self._decode = decode
        self._tracer = tracer
        self._order = random.Random(_SEED)
        self.current = "off"
        self.fixed = False
        self.steps_run = 0

    def rounds(self, title: str, kind: str, modes: tuple[str, ...], seconds: float) -> None:
        """Alternate the modes until the time is up; report after every round."""
        step = self._decode.eager_step if kind == "eager" else self._decode.graph_step
        steps = self._steps_per_block(step)
        blocks: dict[str, list[Block]] = {mode: [] for mode in modes}
        end = time.monotonic() + seconds
        order = list(modes)
        while time.monotonic() < end or not blocks[modes[0]]:
            self._order.shuffle(order)
            for mode in order:
                self._to(mode)
                blocks[mode].append(self._block(step, steps, mode))
            self._child.put(title, _summary(blocks, steps))
        self._to("off")

    def _steps_per_block(self, step: Callable[[], None]) -> int:
        """So many steps that a block lasts about the time wanted; also brings the clocks up."""
        began = time.perf_counter()
        run = 0
        while run < 5 or time.perf_counter() - began < (0.01 if self._child.dry else 0.7):
            step()
            run += 1
        self.steps_run += run
        one = (time.perf_counter() - began) / run
        wanted: float = self._child.spec.get("block_s", 0.3)
        return max(5, min(500, round(wanted / one)))

    def _to(self, mode: str) -> None:
        if self._tracer is None or self.fixed or mode == "nothing":
            return
        _switch(self._tracer, self.current, mode)
        self.current = mode

    def _block(self, step: Callable[[], None], steps: int, mode: str) -> Block:
        tracer = None if mode == "nothing" else self._tracer
        for _ in range(3):
            step()
        self.steps_run += steps + 3
        with _flushing(tracer if mode in {"activity", "both", "graph trace"} else None):
            cpu = time.process_time_ns()
            times = _time_steps(step, steps, tracer if mode in {"callbacks", "both"} else None)
            cpu = time.process_time_ns() - cpu
        if tracer:
            tracer.flush()
        return Block(times, cpu)


def _time_steps(step: Callable[[], None], steps: int, tracer: Tracer | None) -> list[int]:
    """Wall nanoseconds of each step, the call that names the step included where there is one."""
    times = []
    for number in range(1, steps + 1):
        began = time.perf_counter_ns()
        if tracer:
            tracer.set_step(number)
        step()
        times.append(time.perf_counter_ns() - began)
    return times


@contextmanager
def _flushing(tracer: Tracer | None) -> Iterator[None]:
    """Flush twice a second from a thread of its own, as an always-on collector would."""
    if tracer is None:
        yield
        return
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(FLUSH_EVERY_S):
            tracer.flush()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _summary(blocks: dict[str, list[Block]], steps: int) -> dict[str, Any]:
    medians = {mode: [median(b.steps_ns) / 1e3 for b in found] for mode, found in blocks.items()}
    means = {
        mode: [sum(b.steps_ns) / len(b.steps_ns) for b in found] for mode, found in blocks.items()
    }
    out: dict[str, Any] = {"steps_per_block": steps, "modes": {}}
    for mode, found in blocks.items():
        every = [ns / 1e3 for b in found for ns in b.steps_ns]
        out["modes"][mode] = {
            "step_us": {key: round(value, 2) for key, value in describe(every).items()},
            "block_medians_us": [round(value, 2) for value in medians[mode]],
            "cpu_us_per_step": round(median([b.cpu_ns / len(b.steps_ns) / 1e3 for b in found]), 2),
        }
        if "off" in blocks and mode != "off":
            out["modes"][mode]["step_ratio_to_off"] = paired_ratio(medians["off"], medians[mode])
            out["modes"][mode]["mean_ratio_to_off"] = paired_ratio(means["off"], means[mode])
    return out


def _switch(tracer: Tracer, before: str, after: str) -> None:
    """From one mode to another, touching only what differs.

    Raises:
        RuntimeError: CUPTI refused, so that the next block would measure something else.
    """
    old, new = SWITCHES[before], SWITCHES[after]
    for domain in BOTH_DOMAINS:
        if (domain in old.callbacks) != (domain in new.callbacks):
            refused = switch_launch_callbacks(tracer, domain in new.callbacks, (domain,))
            if len(refused) > 2:
                msg = f"callbacks refused: {refused}"
                raise RuntimeError(msg)
    if old.activity != new.activity:
        code = tracer.kind(new.activity, KIND_CONCURRENT_KERNEL)
        if code:
            msg = f"kernel records could not be switched to {new.activity}: CUPTI code {code}"
            raise RuntimeError(msg)


SCENARIOS: dict[str, Callable[[Child], None]] = {
    "cost_launches": launches,
    "cost_alternating": alternating,
    "cost_process": process,
}
