"""What hooks that do less than ours cost at the same places, in three steps.

- *passing* only calls on.
- *least* also reads the clock and copies one stamp of five numbers into a mapped file of a
  journal's size: no checksum, no lock, no word of the batch.
- *writing* puts the records of the step into a journal, each made before: it asks vLLM nothing.
  It has our own encoding and lock in it, so it tells where our time goes, and not what no other
  design could go below.
"""

import functools
import mmap
import os
import struct
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine.output_processor import OutputProcessor

from benchmarks.vllm_hooks.meter import Function
from otel_llm.clock import MonotonicNs
from otel_llm.facts.step import StepDone, StepScheduled
from otel_llm.patching import Make, Patch, Replacement
from otel_llm.recorder import Recorder
from otel_llm.settings import Settings

_STAMP = struct.Struct("<QQQQQ")
_APART = 96
"""Bytes from one stamp to the next: what a step of one member takes in a journal."""


def floors(folder: Path) -> Mapping[str, tuple[Patch, ...]]:
    """The hooks, in every place that a step of steady decode calls.

    Args:
        folder: on the file system that journals are usually on.
    """
    least = _least(folder / "floor")
    return {
        "passing": _patch(_passing, _passing, _passing),
        "least": _patch(least, least, least),
        "writing": _patch(*_writing(), _passing),
    }


def _patch(schedule: Make, update: Make, process: Make) -> tuple[Patch, ...]:
    replacements = (
        Replacement(Scheduler, "schedule", schedule),
        Replacement(Scheduler, "update_from_output", update),
        Replacement(OutputProcessor, "process_outputs", process),
    )
    return (Patch("floor", replacements),)


def _passing(original: Function) -> Function:
    @functools.wraps(original)
    def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  whatever vLLM passes
        return original(self, *args, **kwargs)

    return hooked


def _least(path: Path) -> Make:
    size = Settings().journal_bytes
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.posix_fallocate(handle, 0, size)
    mapped = mmap.mmap(handle, size, mmap.MAP_SHARED | mmap.MAP_POPULATE)
    os.close(handle)
    now, stamp, end = time.monotonic_ns, _STAMP.pack_into, size - _APART
    at = 0

    def make(original: Function) -> Function:
        @functools.wraps(original)
        def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
            nonlocal at
            result = original(self, *args, **kwargs)
            stamp(mapped, at, now(), 1, 2, 3, 4)
            at = (at + _APART) % end
            return result

        return hooked

    return make


def _writing() -> tuple[Make, Make]:
    write = Recorder.open(engine="floor", engine_version="0").journal.write
    now = cast("Callable[[], MonotonicNs]", time.monotonic_ns)
    records = cache(_records)

    def schedule(original: Function) -> Function:
        @functools.wraps(original)
        def hooked(self: Any, throttle_prefills: Any = False) -> Any:  # noqa: ANN401  as above
            batch = original(self, throttle_prefills)
            write(records(len(batch.num_scheduled_tokens))[0], now())
            return batch

        return hooked

    def update(original: Function) -> Function:
        @functools.wraps(original)
        def hooked(self: Any, batch: Any, result: Any) -> Any:  # noqa: ANN401  as above
            outputs = original(self, batch, result)
            write(records(len(batch.num_scheduled_tokens))[1], now())
            return outputs

        return hooked

    return schedule, update


def _records(members: int) -> tuple[StepScheduled, StepDone]:
    """As the hooks write them of a batch that decodes."""
    at = MonotonicNs(10**15)
    indices, context = list(range(members)), [1000 + one for one in range(members)]
    scheduled = StepScheduled(
        10**6, at, indices, b"", [], context, members, 0, 4 * members, 5000, short=True
    )
    return scheduled, StepDone(10**6, at, ones=members)
