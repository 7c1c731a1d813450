"""What any hook written in Python costs at the same places, whatever it does: the floor.

Two hooks stand where a step's hooks stand. `PASSING` only calls on. `LEAST` also reads the clock
and copies one stamp of five numbers into a mapped file of a journal's size: without a checksum, a
lock or a word of the batch, no journal could be written for less.
"""

import functools
import mmap
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine.output_processor import OutputProcessor

from benchmarks.vllm_hooks.meter import Function
from otel_llm.patching import Make, Patch, Replacement
from otel_llm.settings import Settings

_STAMP = struct.Struct("<QQQQQ")
_APART = 96
"""Bytes from one stamp to the next: what a step of one member takes in a journal."""


def floors(folder: Path) -> Mapping[str, tuple[Patch, ...]]:
    """The two hooks, in every place that a step of steady decode calls.

    Args:
        folder: on the file system that journals are usually on.
    """
    return {"passing": _everywhere(_passing), "least": _everywhere(_least(folder / "floor"))}


def _everywhere(make: Make) -> tuple[Patch, ...]:
    places = (
        (Scheduler, "schedule"),
        (Scheduler, "update_from_output"),
        (OutputProcessor, "process_outputs"),
    )
    return (Patch("floor", tuple(Replacement(*place, make) for place in places)),)


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
