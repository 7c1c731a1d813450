"""A modelled scheduler with the engine core's hooks in it, and its facts."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from otel_llm.engines.vllm import core_hooks
from otel_llm.engines.vllm.core import Core
from otel_llm.engines.vllm.core_patches import patches_of
from otel_llm.facts import StepDone, StepScheduled
from otel_llm.journal.records import Record
from otel_llm.journal.writer import Journal
from otel_llm.patching import PatchSet
from otel_llm.recorder import Recorder
from tests.engines.vllm.core_scheduler import EngineCore, Scheduler, Shape


class Kept(list[Record]):
    """A journal in memory."""

    producer = SimpleNamespace(instance_id="i", dp_rank=0)
    closed = False

    def write(self, record: Record, _now_ns: int | None = None) -> None:
        """As `Journal.write`: what becomes of the record's lists later is nothing to it."""
        kept = msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=type(record))
        self.append(kept.whole() if isinstance(kept, StepScheduled | StepDone) else kept)

    def count_swallowed(self) -> None:
        """As `Journal.count_swallowed`; the tests' own fixture sees what is swallowed."""

    def close(self) -> None:
        """As `Journal.close`."""
        self.closed = True


@contextmanager
def followed(shape: Shape, chance: random.Random) -> Iterator[tuple[Scheduler, Kept]]:
    """A scheduler with all hooks in place, and the facts of it."""
    patches = PatchSet(*patches_of(Scheduler, EngineCore))
    scheduler, kept = Scheduler(shape, chance), Kept()
    core = Core(cast("Any", scheduler), Recorder(cast("Journal", kept)))
    assert patches.apply() == []
    try:
        vars(scheduler)[core_hooks.CORE] = core
        yield scheduler, kept
    finally:
        assert patches.undo() == []
