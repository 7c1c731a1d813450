"""Rows of kernels into ClickHouse, and the analysis before them. `measure` is the part to call.

The load is made: decode steps of 1,000 kernels of 90 names on two streams, which is what a model of
forty layers launches. The store is the embedded one, so its work is in this process' CPU time, the
merges that run meanwhile too.
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.rows import Block, encode_blocks
from otel_llm.exporters.clickhouse.writer import insert_arrow_block
from otel_llm.facts import Producer, StepKernels
from otel_llm.facts.joined import JoinedKernels
from otel_llm.kernels.classes import Classifier, patterns
from otel_llm.kernels.columns import Kernels
from otel_llm.kernels.sums import Origin, step_names, step_sums, totals

STEPS, PER_STEP, NAMES = 200, 1_000, 90
REPEATS = 7
_PRODUCER = Producer(
    kind="engine", instance_id="b" * 32, boot_id="b", time_namespace=1, service="bench", host="h",
    engine="vllm", engine_version="1", model="m",
)  # fmt: skip


def load(steps: int = STEPS) -> Kernels:
    """Kernels of so many decode steps, 10 ms apart, the same every time."""
    dice = np.random.default_rng(7)
    names = [f"{pattern.example} {n}" for n in range(NAMES) for pattern in patterns()][:NAMES]
    count = steps * PER_STEP
    step = np.repeat(np.arange(1, steps + 1), PER_STEP)
    start = np.sort(dice.integers(0, 9_000_000, (steps, PER_STEP)), axis=1)
    start = (start + np.arange(steps)[:, None] * 10_000_000).reshape(-1)
    nothing = np.zeros(count, np.int64)
    return Kernels(
        names, ["GPU-0"], step, dice.integers(0, NAMES, count), start,
        dice.integers(800, 60_000, count), nothing, dice.integers(7, 9, count), step,
        start - 5_000,
    )  # fmt: skip


def measure(repeats: int = REPEATS, steps: int = STEPS) -> dict[str, Any]:
    """All figures of this part.

    Args:
        repeats: of each measurement.
        steps: decode steps in the load.

    Returns:
        `rows_per_s` by the clock and `rows_per_core_s` by CPU time: raw rows, encoded and stored.
        `kernels_per_core_s` of each kind of sum, without a store. `new_name_us`, what a name costs
        that was not seen before.
    """
    kernels = load(steps)
    origin = Origin(_PRODUCER, _anchor(), "cupti")
    timed: dict[str, Callable[[], object]] = {
        "step_sums": lambda: step_sums(kernels, origin),
        "ten_second_totals": lambda: totals(kernels, origin),
        "step_names": lambda: step_names(kernels, origin, "sample"),
        "encode": lambda: encode_blocks(_facts(kernels, steps)),
    }
    return {
        "kernels": len(kernels),
        "names": NAMES,
        **_stored(kernels, steps, repeats),
        "kernels_per_core_s": {
            name: report.spread([len(kernels) / _cpu_s(work) for _ in range(repeats)], 0)
            for name, work in timed.items()
        },
        "new_name_us": report.spread([_new_name_us(kernels.names) for _ in range(repeats)]),
    }


def _anchor() -> Anchor:
    return Anchor(EpochNs(time.time_ns()), MonotonicNs(0), 1)


def _facts(kernels: Kernels, steps: int) -> list[JoinedKernels]:
    """One fact a step, as a reader of records hands them on: arrays, no lists."""
    anchor = _anchor()
    facts = []
    for number in range(steps):
        part = slice(number * PER_STEP, (number + 1) * PER_STEP)
        base = int(kernels.start_ns[part][0])
        arrays: dict[str, Any] = {
            "name_index": kernels.name[part],
            "offset_ns": kernels.start_ns[part] - base,
            "duration_ns": kernels.duration_ns[part],
        }
        told = StepKernels(
            seq=number + 1, source="cupti", device="GPU-0", names=kernels.names,
            base_ns=MonotonicNs(base), **arrays,
        )  # fmt: skip
        facts.append(JoinedKernels(_PRODUCER, anchor, told))
    return facts


def _stored(kernels: Kernels, steps: int, repeats: int) -> dict[str, Any]:
    wall, cpu = [], []
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(Path(directory) / "data")
        client = engine.client()
        schema.apply(client)

        def store() -> None:
            token = str(random.getrandbits(64))
            for block in _blocks(kernels, steps):
                insert_arrow_block(client, block.table.name, block.body, token + block.table.name)

        store()
        for _ in range(repeats):
            began, spent = time.perf_counter(), time.process_time()
            store()
            wall.append(len(kernels) / (time.perf_counter() - began))
            cpu.append(len(kernels) / (time.process_time() - spent))
        [[count]] = client.query("SELECT count() FROM llm_kernels").result_rows
        assert count == len(kernels) * (repeats + 1), count
        client.close()
        engine.close()
    return {"rows_per_s": report.spread(wall, 0), "rows_per_core_s": report.spread(cpu, 0)}


def _blocks(kernels: Kernels, steps: int) -> list[Block]:
    return encode_blocks(_facts(kernels, steps))


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _new_name_us(names: list[str]) -> float:
    """Microseconds of CPU time per name, for a classifier that has seen none."""
    times = []
    for _ in range(5):
        fresh = Classifier(patterns())
        times.append(_cpu_s(lambda fresh=fresh: fresh.all_of(names)))  # type: ignore[misc]
    return statistics.median(times) / len(names) * 1e6


if __name__ == "__main__":
    json.dump(
        {
            "machine": report.machine(),
            "versions": report.versions("numpy", "pyarrow", "chdb"),
            **measure(),
        },
        sys.stdout,
        indent=2,
    )
