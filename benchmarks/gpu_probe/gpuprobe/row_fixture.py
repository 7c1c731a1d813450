"""Stage 4, inside the row: record a few seconds of decode with its kernels and its power."""

from __future__ import annotations

import base64
import gc
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpuprobe import fixture
from gpuprobe.child import Child
from gpuprobe.nvml import POWER_FIELDS, Nvml
from gpuprobe.records import KIND_CONCURRENT_KERNEL, NAME_SPAN, Row
from gpuprobe.row_cost import FLUSH_EVERY_S
from gpuprobe.stats import union_length
from gpuprobe.tracer import Tracer
from gpuprobe.workloads import Decode

_ROWS_ROOM = 3_000_000
_POWER_EVERY_S = 0.01
_START_S = 10.0
_RAW_KEPT = 24
# A first guess of what a row takes in the file, on the low side.
_BYTES_PER_ROW = 2


class Sampler:
    """Power and clock anchors from a thread of its own; without NVML there is no power."""

    def __init__(self) -> None:
        self.power: fixture.Columns = {name: [] for name in fixture.TABLES["power"]}
        self.anchors: fixture.Columns = {name: [] for name in fixture.TABLES["anchors"]}
        self.absent = ""
        self.errors = 0
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample until the block ends; the first sample is taken before it begins."""
        self._thread.start()
        self._ready.wait(_START_S)
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _run(self) -> None:
        try:
            nvml = Nvml()
        except (OSError, RuntimeError) as error:
            self.absent = str(error)
            nvml = None
        read = nvml.fields(POWER_FIELDS) if nvml else None
        counter = nvml.energy_mj() if nvml else None
        usage = nvml.power_mw() if nvml else None
        while not self._stop.wait(_POWER_EVERY_S):
            self.anchors["wall_ns"].append(time.time_ns())
            self.anchors["monotonic_ns"].append(time.monotonic_ns())
            if counter and read and usage:
                self._sample(counter, read, usage)
            self._ready.set()

    def _sample(
        self, counter: Callable[[], Any], read: Callable[[], Any], usage: Callable[[], Any]
    ) -> None:
        """One row; a counter that fails once is not a row, because nothing can stand in for it."""
        energy = counter()
        if energy.code:
            self.errors += 1
            return
        fields, gauge = read(), usage()
        average, instant = (None if math.isnan(v) else int(v) for v in fields.values[1:3])
        values = (
            energy.wall_ns, energy.monotonic_ns, energy.took_ns, int(energy.values[0]),
            average, instant,
            int(gauge.values[0]) if gauge.code == 0 else None,
        )  # fmt: skip
        for name, value in zip(self.power, values, strict=True):
            self.power[name].append(value)


class Recorder:
    """Runs steps and notes when each began and ended on the host."""

    def __init__(self, tracer: Tracer, decode: Decode) -> None:
        self._tracer = tracer
        self._decode = decode
        self._flushed = time.monotonic()
        self.steps: dict[int, tuple[int, int, int, int]] = {}

    def idle(self, seconds: float) -> None:
        """Let the GPU rest."""
        time.sleep(seconds)

    def run(self, phase: str, seconds: float, at_most: int) -> None:
        """Steps of one phase until the time or the number is reached."""
        step = self._decode.eager_step if phase == "eager" else self._decode.graph_step
        end = time.monotonic() + seconds
        for _ in range(at_most):
            number = len(self.steps) + 1
            self._tracer.set_step(number)
            wall, began = time.time_ns(), time.monotonic_ns()
            step()
            ended = time.monotonic_ns()
            self._tracer.set_step(0)
            self.steps[number] = (fixture.PHASES.index(phase), wall, began, ended - began)
            if ended / 1e9 > end:
                break
            if ended / 1e9 - self._flushed > FLUSH_EVERY_S:
                self._tracer.flush()
                self._flushed = ended / 1e9


def record(child: Child) -> None:
    """Idle, eager decode, graph decode, idle; then everything is written to one small file."""
    # Millions of small objects follow, and none of them is garbage.
    gc.disable()
    tracer = child.tracer()
    child.attach(tracer)
    decode = child.decode()
    decode.eager_step()
    decode.capture()
    child.drain(tracer, 1 << 62)
    child.must("keep rows", lambda: tracer.keep_rows(child.spec.get("room", _ROWS_ROOM)))
    before = tracer.counters()
    seconds = child.spec["seconds"]
    recorder = Recorder(tracer, decode)
    sampler = Sampler()
    with sampler.running():
        recorder.idle(seconds * 0.15)
        recorder.run("eager", seconds * 0.2, at_most=child.scaled(10**6, 10))
        recorder.run("graph", seconds * 0.4, at_most=child.scaled(10**6, 20))
        recorder.idle(seconds * 0.25)
    child.drain(tracer, 1 << 62)
    rows = tracer.take_rows()
    after = tracer.counters()
    child.put("counters", {name: after[name] - before[name] for name in before})
    child.put("steps", len(recorder.steps))
    child.put(
        "power",
        {"rows": len(sampler.power["wall_ns"]), "errors": sampler.errors, "absent": sampler.absent},
    )
    head = _head(child, decode, tracer, {name: after[name] - before[name] for name in _LOSS})
    child.put(
        "fixture",
        fit(Path(child.spec["fixture"]), head, rows, recorder.steps, sampler, tracer.name),
    )


_LOSS = (
    "dropped",
    "rows_lost",
    "names_lost",
    "no_memory",
    "zero_time",
    "reversed_time",
    "untagged",
)


def _head(child: Child, decode: Decode, tracer: Tracer, loss: dict[str, int]) -> dict[str, Any]:
    return {
        "dry_run": child.dry,
        "machine": child.spec["machine"],
        "cupti": {
            "version": tracer.version()[1],
            "label": child.spec["copy"]["label"],
            "method": tracer.method,
        },
        "workload": decode.description,
        "phases": list(fixture.PHASES),
        "loss": loss,
        "raw_kernel_records": [_without_address(raw) for raw in tracer.raw_records()[:_RAW_KEPT]],
    }


def _without_address(record: bytes) -> str:
    """Base64 of a record as CUPTI wrote it, the address of its name set to zero."""
    clean = bytearray(record)
    clean[NAME_SPAN] = bytes(8)
    return base64.b64encode(clean).decode()


def fit(
    path: Path,
    head: dict[str, Any],
    rows: list[Row],
    steps: dict[int, tuple[int, int, int, int]],
    sampler: Sampler,
    name_of: Callable[[int], str],
) -> dict[str, Any]:
    """Write with every kernel, or with those of every Nth step, whichever first fits the limit."""
    by_step: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if row.kind == KIND_CONCURRENT_KERNEL and row.start and row.end >= row.start:
            by_step[row.step].append(row)
    step_table = _step_table(by_step, steps)
    every = max(1, math.ceil(len(rows) * _BYTES_PER_ROW / fixture.LIMIT_BYTES))
    while True:
        shapes = Shapes(name_of)
        kept = {number for number in steps if number % every == 0 or number <= 2}
        step_table["kept"] = [int(number in kept) for number in steps]
        tables = {
            "kernels": _kernel_table(by_step, sorted(kept), shapes),
            "steps": step_table,
            "power": sampler.power,
            "anchors": sampler.anchors,
        }
        full = {**head, "kept_every": every, "names": shapes.names, "shapes": shapes.shapes}
        size = fixture.write(path, full, tables)
        if size <= fixture.LIMIT_BYTES or every > len(steps):
            kernels = len(tables["kernels"]["step"])
            return {"bytes": size, "kept_every": every, "kernels": kernels, "of": len(rows)}
        every *= max(2, math.ceil(size / fixture.LIMIT_BYTES))


class Shapes:
    """Numbers for (name, grid, block), because a decode step repeats the same few."""

    def __init__(self, name_of: Callable[[int], str]) -> None:
        self._name_of = name_of
        self._index: dict[tuple[int, ...], int] = {}
        self._names: dict[int, int] = {}
        self.names: list[str] = []
        self.shapes: list[list[int]] = []

    def number(self, row: Row) -> int:
        """The shape's place in `shapes`."""
        key = (row.name, *row[11:17])
        if key not in self._index:
            if row.name not in self._names:
                self._names[row.name] = len(self.names)
                self.names.append(self._name_of(row.name))
            self._index[key] = len(self.shapes)
            self.shapes.append([self._names[row.name], *row[11:17]])
        return self._index[key]


def _kernel_table(
    by_step: dict[int, list[Row]], kept: list[int], shapes: Shapes
) -> fixture.Columns:
    table: fixture.Columns = {name: [] for name in fixture.TABLES["kernels"]}
    # Launches outside any step are few and belong to no step: they are kept whole, as step 0.
    rows = sorted(row for step in (0, *kept) for row in by_step.get(step, ()))
    for row in rows:
        values = (
            row.start, row.end - row.start, row.correlation, row.step, row.device, row.stream,
            row.graph,
            row.graph_node, shapes.number(row),
        )  # fmt: skip
        for column, value in zip(table.values(), values, strict=True):
            column.append(value)
    return table


def _step_table(
    by_step: dict[int, list[Row]], steps: dict[int, tuple[int, int, int, int]]
) -> fixture.Columns:
    table: fixture.Columns = {name: [] for name in fixture.TABLES["steps"]}
    for number, (phase, wall, began, took) in steps.items():
        rows = by_step.get(number, [])
        values = (
            number, phase, wall, began, took, len(rows),
            union_length([(row.start, row.end) for row in rows]),
            min((row.start for row in rows), default=None),
            max((row.end for row in rows), default=None),
            0,
        )  # fmt: skip
        for column, value in zip(table.values(), values, strict=True):
            column.append(value)
    return table


SCENARIOS: dict[str, Callable[[Child], None]] = {"record_fixture": record}
