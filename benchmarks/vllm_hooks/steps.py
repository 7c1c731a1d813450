"""What all hooks of a step take, measured in three ways on vLLM's own classes.

- in place: stopwatches around every hook, while the scheduler and the output processor work;
- as a difference: the same objects do the same steps with the hooks in and with the hooks out;
- alone: the hooks of one step over and over, around functions that do nothing.

Other hooks, named by the caller, are timed in place too, to see what any hook costs there.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.rounds import Round, calls_per_round, mean_ns
from benchmarks.vllm_hooks.alone import captured, replay
from benchmarks.vllm_hooks.meter import Meter, own_time
from benchmarks.vllm_hooks.rig import Rig
from benchmarks.vllm_hooks.switch import in_place, switch
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.patching import Patch, PatchSet

WARM = 12
STEPS = {1: 120, 16: 60, 64: 24, 256: 10}
"""Steps of one round, by members of the batch."""
_MAKE_DO = 24


class Bench:
    """Rounds of steps on one rig. Each round fills the rig anew, so that rounds can take turns.

    Args:
        model: a model's directory.
        patches: the hooks.
        journals: the directory that they write to.
        others: other hooks, by name.
        asynchronous: see `Rig`.
        drafts: see `Rig`.

    Raises:
        RuntimeError: a hook could not be put in.
    """

    def __init__(
        self,
        model: Path,
        patches: Sequence[Patch],
        journals: Path,
        others: Mapping[str, Sequence[Patch]],
        *,
        asynchronous: bool,
        drafts: int = 0,
    ) -> None:
        self._patches = patches
        self._plain = PatchSet(*patches)
        self._meter = Meter(patches)
        self._others = {name: Meter(hooks) for name, hooks in others.items()}
        known = set(scan(journals, "engine"))
        with in_place(self._plain):
            self._rig = Rig(model, asynchronous=asynchronous, drafts=drafts)
        (self._journal,) = (path for path in scan(journals, "engine") if path not in known)

    def steady(self, members: int) -> Round:
        """In place: microseconds in the hooks per step, the median of a round's steps."""
        return lambda: self._metered(self._meter, members, self._rig.step)

    def other(self, name: str) -> Callable[[int], Round]:
        """As `steady`, of one of the other hooks."""
        meter = self._others[name]
        return lambda members: lambda: self._metered(meter, members, self._rig.step)

    def arriving(self, members: int) -> Round:
        """As `steady`, but one member arrives with the step, is prefilled in it and ends by it."""

        def step() -> None:
            self._rig.add(max_tokens=1)
            self._rig.step()

        return lambda: self._metered(self._meter, members - 1, step)

    def difference(self, members: int) -> Round:
        """As a difference: microseconds of CPU time per step; hooks in, out, out, in."""

        def measure() -> float:
            steps = STEPS.get(members, _MAKE_DO)
            took = {True: 0.0, False: 0.0}
            with self._filled(members):
                for hooks in (True, False, False, True):
                    switch(self._plain, on=hooks)
                    took[hooks] += self._block(steps) / 2
                switch(self._plain, on=False)
            return took[True] - took[False]

        return measure

    def alone(self, members: int) -> Round:
        """Alone: microseconds of CPU time for the hooks of one step."""

        def measure() -> float:
            with self._filled(members):
                calls = captured(self._patches, self._rig.step)
                hooks, stubs = replay(calls, hooks=True), replay(calls, hooks=False)
                times = calls_per_round(hooks)
                return (mean_ns(hooks, times) - mean_ns(stubs, times)) / 1000

        return measure

    def by_hook(self, members: int) -> dict[str, float]:
        """In place: microseconds per step in each hook that the steps of steady decode call."""
        with self._filled(members):
            timed, empty = (
                self._shown(self._meter, hooks, members, self._rig.step)
                for hooks in (self._meter.timed, self._meter.empty)
            )
        return {
            name: own_time([one[name] for one in timed], [one[name] for one in empty])
            for name in timed[0]
            if any(one[name] for one in timed)
        }

    def bytes_per_step(self, members: int, steps: int = 100) -> float:
        """Bytes that a step takes in the engine core's journal."""
        with self._filled(members), in_place(self._plain):
            before = self._written()
            for _ in range(steps):
                self._rig.step()
            return (self._written() - before) / steps

    def _written(self) -> int:
        """Bytes in the engine core's journal so far."""
        reader = JournalReader.open(self._journal)
        while reader.read():
            pass
        position = reader.cursor.position
        reader.close()
        return position

    @contextmanager
    def _filled(self, members: int) -> Iterator[None]:
        """So many requests decode, known to the hooks; in the block the hooks are out."""
        with in_place(self._plain):
            self._rig.fill(members)
        yield
        with in_place(self._plain):
            self._rig.empty()

    def _metered(self, meter: Meter, members: int, step: Callable[[], None]) -> float:
        """Microseconds in the hooks per step."""
        with self._filled(members):
            shown = [
                [sum(one.values()) for one in self._shown(meter, hooks, members, step)]
                for hooks in (meter.timed, meter.empty)
            ]
        return own_time(*shown)

    def _shown(
        self, meter: Meter, hooks: PatchSet, members: int, step: Callable[[], None]
    ) -> list[dict[str, float]]:
        """Microseconds by hook that the stopwatches show for each of some steps."""
        shown = []
        with in_place(hooks):
            for _ in range(WARM):
                step()
            before = meter.by_hook_ns()
            for _ in range(STEPS.get(members, _MAKE_DO)):
                step()
                after = meter.by_hook_ns()
                shown.append({name: (after[name] - before[name]) / 1000 for name in after})
                before = after
            self._rig.drain()
        return shown

    def _block(self, steps: int) -> float:
        """Microseconds of CPU time per step, of some steps after a few that warm up."""
        for _ in range(WARM):
            self._rig.step()
        began = time.thread_time_ns()
        for _ in range(steps):
            self._rig.step()
        took = time.thread_time_ns() - began
        self._rig.drain()
        return took / steps / 1000
