"""What is asked of the GPU, in stages that fit eight minutes each."""

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.gpu.engine import Kind, Started
from otel_llm.clock import SYSTEM_CLOCK
from otel_llm.devices.sampler import Sampler
from otel_llm.devices.source import DeviceSource
from otel_llm.facts.device import DeviceSample

MODES: Mapping[str, tuple[str, int, float]] = {
    "callbacks_only": ("callbacks", 1, 1.0),
    "aggregates": ("on", 0, 1.0),
    "default": ("on", 1, 0.01),
    "full": ("on", 1, 1.0),
}
"""The shim's mode, `raw_every` and budget of each figure; `dormant` is a process never switched
on."""
GOALS = {
    "dormant": 0.995,
    "callbacks_only": 0.99,
    "aggregates": 0.98,
    "default": 0.98,
    "full": 0.95,
}
COVERAGE, MEDIANS, SAMPLER_CORE = 0.999, 0.02, 0.005
SOAKED, GROWN_BYTES = 25_000_000, 64 << 20
STOPPED = 4
"""Level of thinning at which a shim records nothing any more."""
BATCHES = (8, 64)
KINDS = ("graph", "eager")


class Asked(NamedTuple):
    """What a run is made with.

    Attributes:
        work: `torch` or `fake`.
        size: of the model.
        environment: of the engines' processes.
        folder: for their journals.
        budget_s: how long a stage may take.
    """

    work: str
    size: str
    environment: dict[str, str]
    folder: Path
    budget_s: float

    def engine(self, shim: str, batch: int, name: str) -> Started:
        """Start an engine; see `Started`."""
        kind = Kind(self.work, self.size, batch)
        return Started(kind, shim, self.environment, self.folder / name)


def throughput(asked: Asked) -> dict[str, Any]:
    """Steps per second in each mode to those of a process without the shim, in turn on one GPU."""
    found, about = {}, {}
    blocks = len(BATCHES) * len(KINDS) * (2 + len(MODES)) * 5
    seconds = min(2.0, asked.budget_s * 0.6 / blocks)
    for batch in BATCHES:
        with ExitStack() as stack:
            plain, dormant, on = (
                stack.enter_context(closing(asked.engine(shim, batch, f"{batch}-{shim or 'off'}")))
                for shim in ("", "dormant", "on")
            )
            _must_be(on.ask("report"), "on")
            for kind in KINDS:
                found[f"{kind}, batch {batch}"] = _ratios(plain, dormant, on, kind, seconds)
            about = _about(on)
    each = {name: [one[name]["median"] for one in found.values()] for name in ("dormant", *MODES)}
    return {
        **about,
        "throughput_ratio": {name: round(min(values), 4) for name, values in each.items()},
        "throughput": found,
    }


def _ratios(
    plain: Started, dormant: Started, on: Started, kind: str, seconds: float
) -> dict[str, dict[str, float]]:
    def rate(engine: Started) -> float:
        done = engine.ask("run", kind=kind, seconds=seconds)
        return float(done["steps"] / done["seconds"])

    ratios: dict[str, list[float]] = {}
    levels: dict[str, int] = {}
    for _ in range(5):
        without = rate(plain)
        ratios.setdefault("dormant", []).append(rate(dormant) / without)
        for name, (mode, raw_every, budget) in MODES.items():
            on.ask("mode", mode=mode, raw_every=raw_every, budget=budget)
            ratios.setdefault(name, []).append(rate(on) / without)
            levels[name] = max(levels.get(name, 0), on.ask("report")["level"])
    return {
        name: {
            "median": round(statistics.median(each), 4),
            "min": round(min(each), 4),
            "thinned": levels.get(name, 0),
        }
        for name, each in ratios.items()
    }


def against(asked: Asked) -> dict[str, Any]:
    """Kernels of identical steps by the shim and by torch.profiler: counts, durations, clocks."""
    found, about, clock = {}, {}, {}
    for kind in KINDS:  # each in a process of its own: torch.profiler does not give CUPTI back
        with closing(asked.engine("on", BATCHES[0], f"against-{kind}")) as engine:
            _must_be(engine.ask("report"), "on")
            engine.ask("mode", mode="on", raw_every=1, budget=1.0)
            engine.ask("run", kind=kind, seconds=1.0)
            found[kind] = _compared(engine.ask("compare", kind=kind, steps=20))
            about, clock = _about(engine), engine.ask("clock")
    coverage = min(one["coverage"] for one in found.values())
    return {**about, "kernel_coverage": coverage, "against_profiler": found, "clock": clock}


def _compared(both: dict[str, Any]) -> dict[str, Any]:
    ours, theirs = both["ours"], both["theirs"]
    total = sum(map(len, theirs.values()))
    met = sum(min(len(each), len(ours.get(name, ()))) for name, each in theirs.items())
    medians = [
        abs(statistics.median(ours[name]) / statistics.median(each) - 1)
        for name, each in theirs.items()
        if ours.get(name)
    ]
    return {
        "kernels": total,
        "coverage": met / total if total else 0.0,
        "same_counts": both["same"],
        "median_duration_error": statistics.median(medians) if medians else 1.0,
    }


def soak(asked: Asked) -> dict[str, Any]:
    """Millions of graph kernels with few device buffers: zero timestamps, losses, memory."""
    few = asked._replace(environment={**asked.environment, "OTEL_LLM_KERNELS_DEVICE_BUFFERS": "8"})
    with closing(few.engine("on", BATCHES[0], "soak")) as engine:
        _must_be(engine.ask("report"), "on")
        engine.ask("mode", mode="on", raw_every=0, budget=1.0)
        soaked = engine.ask("soak", kernels=1000, seconds=asked.budget_s * 0.7)
        return {**_about(engine), "soak": soaked}


def devices(
    asked: Asked, source: DeviceSource, smi: Callable[[], str] | None = None
) -> dict[str, Any]:
    """What NVML tells beside `nvidia-smi`, and what reading it ten times a second costs a core."""
    if not source.open():
        raise RuntimeError("; ".join(source.problems))
    names = ",".join(_SMI)
    told = (smi or (lambda: _nvidia_smi(names)))()
    read = source.read(full=True).samples
    source.close()
    whole = [sample for sample in read if not sample.device.mig]
    unlike = [
        f"{sample.device.id}: {name} is {ours}, nvidia-smi says {theirs}"
        for sample, line in zip(whole, told.splitlines(), strict=True)
        for name, ours, theirs in _unlike(sample, line)
    ]
    return {"devices": {"read": len(whole), "unlike_nvidia_smi": unlike, **_sampled(asked, source)}}


_SMI: Mapping[str, tuple[Callable[[DeviceSample], float | str | None], float]] = {
    "uuid": (lambda one: one.device.id, 0),
    "memory.total": (lambda one: (one.device.memory_bytes or 0) / (1 << 20), 1),
    "memory.used": (lambda one: (one.memory_used_bytes or 0) / (1 << 20), 64),
    "temperature.gpu": (lambda one: one.temperature_c, 3),
    "power.draw.average": (lambda one: (one.power_average_mw or 0) / 1000, 30),
}
"""What `nvidia-smi` calls a reading, ours, and by how much they may differ at other moments."""


def _unlike(sample: DeviceSample, line: str) -> Iterator[tuple[str, object, str]]:
    for (name, (ours, most)), theirs in zip(_SMI.items(), line.split(","), strict=True):
        value, said = ours(sample), theirs.strip()
        if isinstance(value, str):
            if value != said:
                yield name, value, said
        elif value is None or abs(value - float(said)) > most:
            yield name, value, said


def _nvidia_smi(names: str) -> str:
    command = ["nvidia-smi", f"--query-gpu={names}", "--format=csv,noheader,nounits"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _sampled(asked: Asked, source: DeviceSource) -> dict[str, float]:
    """CPU time of this process while the sampler reads, which does nothing else meanwhile."""
    seconds = min(20.0, asked.budget_s * 0.3)
    sampler = Sampler([source], SYSTEM_CLOCK, 0.1, 1.0)
    sampler.start()
    time.sleep(1.0)
    spent, began, samples = time.process_time(), time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        time.sleep(0.5)
        samples += len(sampler.take().samples)
    share = (time.process_time() - spent) / (time.perf_counter() - began)
    sampler.stop(5.0)
    return {"samples": samples, "core_share": round(share, 5)}


def _about(engine: Started) -> dict[str, Any]:
    return {**engine.ask("describe"), "cupti": engine.ask("report")["cupti"]}


def _must_be(report: dict[str, Any], state: str) -> None:
    if report["state"] != state:
        message = f"the shim is {report['state']} ({report.get('reason')}): {json.dumps(report)}"
        raise RuntimeError(message)


def failings(found: dict[str, Any], *, timed: bool = True) -> list[str]:
    """What of the results is not as it should be, in words.

    Args:
        found: what stages gave.
        timed: look at times too, which are those of a GPU; not so with the fakes.
    """
    told = []
    for kind, one in found.get("against_profiler", {}).items():
        if one["coverage"] < COVERAGE or not one["same_counts"]:
            told.append(f"{kind}: coverage {one['coverage']:.5f}, same {one['same_counts']}")
        if one["median_duration_error"] > MEDIANS:
            told.append(f"{kind}: durations differ by {one['median_duration_error']:.3f}")
    if "clock" in found and not found["clock"]["readings"]:
        told.append("clock: the shim has never read CUPTI's")
    if "soak" in found:
        told += _soaked(found["soak"], SOAKED if timed else 0)
    for kind, modes in found.get("throughput", {}).items():
        stopped = [name for name, one in modes.items() if one["thinned"] >= STOPPED]
        told += [f"{kind}, {name}: the shim had stopped itself" for name in stopped]
    for name, least in GOALS.items() if timed else ():
        ratio = found.get("throughput_ratio", {}).get(name)
        if ratio is not None and ratio < least:
            told.append(f"throughput, {name}: {ratio} of that without the shim, goal {least}")
    if "devices" in found:
        told += found["devices"]["unlike_nvidia_smi"]
        if timed and found["devices"]["core_share"] > SAMPLER_CORE * max(
            1, found["devices"]["read"] / 8
        ):
            told.append(f"sampler: {found['devices']['core_share']} of a core")
    return told


def _soaked(soak: dict[str, Any], least: int) -> Iterator[str]:
    counters, launched = soak["counters"], soak["launched"]
    bad = {name: counters[name] for name in _LOSSES if counters[name]}
    if bad or counters["records"] < launched * COVERAGE:
        yield f"soak: {counters['records']} of {launched} kernels, {bad}"
    if launched < least:
        yield f"soak: {launched} kernels are too few, give it more than {least}"
    for memory in ("device", "host"):
        if soak[f"{memory}_bytes_grown"] > GROWN_BYTES:
            yield f"soak: the {memory}'s memory grew by {soak[f'{memory}_bytes_grown']} bytes"


_LOSSES = ("zero_timestamps", "absurd_timestamps", "dropped_by_cupti", "buffers_declined")
