"""Stage 3, inside the row: how often NVML's numbers change, and what each call takes."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpuprobe.child import Child
from gpuprobe.native import HERE
from gpuprobe.nvml import POWER_FIELDS, Nvml, Stamp, in_words
from gpuprobe.stats import describe, intervals
from gpuprobe.workloads import DriverWork

_KEEP_CHANGES = 4000
_LOAD_ROUNDS = 500_000
_LOAD_THREADS = 256
_LOAD_BLOCKS_PER_PROCESSOR = 8


def load(child: Child) -> None:
    """Keep every multiprocessor busy for so many seconds, as the load of another row."""
    work = DriverWork()
    work.cuda.set_rounds(child.scaled(_LOAD_ROUNDS, 10))
    blocks = work.cuda.multiprocessors() * _LOAD_BLOCKS_PER_PROCESSOR
    end = time.monotonic() + child.spec["seconds"]
    launched = 0
    while time.monotonic() < end:
        for _ in range(4):
            work.cuda.launch(blocks, _LOAD_THREADS)
        work.sync()
        launched += 4
        if launched == 4:
            child.put("running", True)
    child.put("kernels", launched)


def hold(child: Child) -> None:
    """Keep the device open, so that the driver does not start it anew for every row."""
    Nvml()
    child.put("running", True)
    while True:
        signal.pause()


@contextmanager
def loaded(child: Child, seconds: float) -> Iterator[None]:
    """A second process that loads the GPU meanwhile; waits until its first kernels are done.

    Raises:
        RuntimeError: the load did not start.
    """
    spec_path = Path(child.spec["report"]).with_suffix(".load")
    report = spec_path.with_suffix(".load-report")
    report.unlink(missing_ok=True)
    spec = {"scenario": "load", "report": str(report), "seconds": seconds, "dry": child.dry}
    spec_path.write_text(json.dumps(spec), encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(HERE / "probe.py"), "--row", str(spec_path)])
    try:
        end = time.monotonic() + 20
        while not (report.exists() and "running" in report.read_text(encoding="utf-8")):
            if process.poll() is not None or time.monotonic() > end:
                said = report.read_text(encoding="utf-8") if report.exists() else "no report"
                msg = f"the load did not start: {said}"
                raise RuntimeError(msg)
            time.sleep(0.01)
        yield
    finally:
        process.kill()
        process.wait()


def calls(child: Child) -> None:
    """Latency of every call a sampler would make."""
    nvml = Nvml()
    seconds = child.spec["seconds"]
    if child.spec.get("load"):
        with loaded(child, seconds + 30):
            _time_calls(child, nvml, seconds)
    else:
        _time_calls(child, nvml, seconds)


def _time_calls(child: Child, nvml: Nvml, seconds: float) -> None:
    found = nvml.calls()
    each = seconds / len(found)
    table: dict[str, Any] = {}
    for name, call in found.items():
        began = time.perf_counter_ns()
        code = call()
        first = time.perf_counter_ns() - began
        took = _repeat(call, each) if code == 0 else []
        table[name] = {"code": in_words(code), "first_us": round(first / 1e3, 1)}
        if took:
            table[name]["us"] = {k: round(v, 2) for k, v in describe(took).items()}
        child.put("calls", table)
    child.put("fields", nvml.field_report(POWER_FIELDS))


def _repeat(call: Callable[[], int], seconds: float) -> list[float]:
    """Microseconds of each call, until the time or 2000 calls are up."""
    took: list[float] = []
    end = time.monotonic() + seconds
    while len(took) < 2000 and (time.monotonic() < end or not took):
        began = time.perf_counter_ns()
        call()
        took.append((time.perf_counter_ns() - began) / 1e3)
    return took


def updates(child: Child) -> None:
    """Read without a pause and note each change: the true interval of every number."""
    nvml = Nvml()
    seconds = child.spec["seconds"]
    if child.spec.get("load"):
        with loaded(child, seconds + 30):
            _watch_all(child, nvml, seconds)
    else:
        _watch_all(child, nvml, seconds)


def _watch_all(child: Child, nvml: Nvml, seconds: float) -> None:
    readers = {
        "energy counter (mJ)": (nvml.energy_mj(), 0, 0.4),
        "energy field 83 (mJ)": (nvml.fields((POWER_FIELDS[0],)), 0, 0.2),
        "power average field 185 (mW)": (nvml.fields((POWER_FIELDS[1],)), 0, 0.15),
        "power instant field 186 (mW)": (nvml.fields((POWER_FIELDS[2],)), 0, 0.15),
        "power usage (mW)": (nvml.power_mw(), 0, 0.1),
    }
    for name, (read, index, share) in readers.items():
        child.put(name, watch(read, index, seconds * share))
    code, samples = nvml.power_samples()
    stamps = [at / 1e3 for at, _ in samples]
    child.put(
        "driver's own power samples",
        {"code": in_words(code), "count": len(samples), "interval_ms": describe(intervals(stamps))},
    )


def watch(read: Callable[[], Stamp], index: int, seconds: float) -> dict[str, Any]:
    """Changes of one number: intervals, sizes, and how finely we looked."""
    first = read()
    if first.code or not first.values or math.isnan(first.values[index]):
        return {"code": in_words(first.code), "available": False}
    changes: list[tuple[int, float]] = []
    gaps: list[float] = []
    last = first
    while last.monotonic_ns - first.monotonic_ns < seconds * 1e9:
        stamp = read()
        if stamp.code or math.isnan(stamp.values[index]):
            return {"code": in_words(stamp.code), "available": False, "changes": len(changes)}
        gaps.append((stamp.monotonic_ns - last.monotonic_ns) / 1e6)
        if stamp.values[index] != last.values[index] and len(changes) < _KEEP_CHANGES:
            changes.append((stamp.monotonic_ns, stamp.values[index]))
        last = stamp
    between = [ms / 1e6 for ms in intervals([at for at, _ in changes])]
    return {
        "available": True,
        "reads": len(gaps),
        "read_gap_ms": _rounded(describe(gaps)),
        "changes": len(changes),
        "interval_ms": _rounded(describe(between)),
        "change": _rounded(describe(intervals([value for _, value in changes]))),
        "per_second": _rate(changes),
        "raw": [[round((at - first.monotonic_ns) / 1e6, 3), value] for at, value in changes[:300]],
    }


def _rate(changes: list[tuple[int, float]]) -> float | None:
    """Growth per second over the changes: watts times 1000 for a counter in mJ."""
    if len(changes) < 2 or changes[-1][0] == changes[0][0]:
        return None
    return round((changes[-1][1] - changes[0][1]) / ((changes[-1][0] - changes[0][0]) / 1e9), 3)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in values.items()}


def response(child: Child) -> None:
    """All three numbers at 200 Hz through idle, load, idle: how late and how smooth is each?"""
    nvml = Nvml()
    read = nvml.fields(POWER_FIELDS)
    gauge = nvml.power_mw()
    third = child.spec["seconds"] / 3
    rows: list[list[float | None]] = []
    began = time.monotonic_ns()
    marks = {}

    def sample(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            fields, usage = read(), gauge()
            values = [v if math.isfinite(v) else None for v in (*fields.values, *usage.values)]
            rows.append([round((fields.monotonic_ns - began) / 1e6, 2), *values])
            time.sleep(0.005)

    sample(third)
    with loaded(child, third + 30):
        marks["load_on_ms"] = (time.monotonic_ns() - began) / 1e6
        sample(third)
    marks["load_off_ms"] = (time.monotonic_ns() - began) / 1e6
    sample(third)
    child.put("marks", marks)
    child.put(
        "columns", ["ms", "energy_mj", "power_average_mw", "power_instant_mw", "power_usage_mw"]
    )
    child.put("rows", _changes_only(rows))


def _changes_only(rows: list[list[float | None]]) -> list[list[float | None]]:
    return [row for i, row in enumerate(rows) if i == 0 or row[1:] != rows[i - 1][1:]][:3000]


SCENARIOS: dict[str, Callable[[Child], None]] = {
    "load": load,
    "hold": hold,
    "nvml_calls": calls,
    "nvml_updates": updates,
    "nvml_response": response,
}
