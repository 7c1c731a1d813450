"""Steps that wait for their kernels: CUPTI tells of them up to two seconds after their results."""

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence

import msgspec

from otel_llm.agent.energy.engines import Timed
from otel_llm.agent.open_facts import Kept, Key

MOST_STEPS = 8_192
"""Steps that wait at once: eight engines at 100 steps/s for ten seconds. Past it the oldest do not
wait any longer."""

Told = Callable[[Timed], bool]


class Waiting(msgspec.Struct, array_like=True):
    """A step that waits.

    Attributes:
        engine: number of its engine.
        timed: the step, before it time in which steps were lost.
    """

    engine: int
    timed: list[Timed]


class WaitingSteps(Kept[Waiting]):
    """All of them. An engine's steps leave in the order in which they came."""

    def __init__(self) -> None:
        super().__init__("energy.step", Waiting, sys.maxsize)  # `leave` keeps the bound
        self._queues: defaultdict[int, OrderedDict[Key, None]] = defaultdict(OrderedDict)
        self._next = 0

    def engines(self) -> list[int]:
        """Numbers of engines with steps that wait."""
        return list(self._queues)

    def has(self, engine: int) -> bool:
        """Whether a step of this engine waits."""
        return engine in self._queues

    def add(self, engine: int, timed: Sequence[Timed]) -> None:
        """A further step of an engine."""
        self._enqueue(engine, self._next)
        self.put(self._next, Waiting(engine, [_slim(one) for one in timed]))
        self._next += 1

    def are_told(self, engine: int, before_ns: int, is_told: Told) -> bool:
        """Whether all of an engine's steps that began before a moment are told of."""
        for key in self._queues.get(engine, ()):
            for one in self._timed(key):
                if one.start_ns >= before_ns:
                    return True
                if not is_told(one):
                    return False
        return True

    def leave(self, engine: int, before_ns: int, is_told: Told) -> list[Timed]:
        """Take out an engine's first steps: those told of, or that began before `before_ns`.

        Where too many wait, the oldest wait no longer.
        """
        left: list[Timed] = []
        for key in list(self._queues.get(engine, ())):
            timed = self._timed(key)
            due = timed[-1].start_ns < before_ns or len(self) > MOST_STEPS
            if not due and not all(map(is_told, timed)):
                break
            left += timed
            self._dequeue(engine, key)
        return left

    def restore(self, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """As `Kept.restore`."""
        super().restore(saved)
        for key, waiting in self.items():
            self._enqueue(waiting.engine, key)
            self._next = max(self._next, int(key) + 1)

    def _timed(self, key: Key) -> list[Timed]:
        waiting = self.get(key)
        return waiting.timed if waiting is not None else []

    def _enqueue(self, engine: int, key: Key) -> None:
        self._queues[engine][key] = None

    def _dequeue(self, engine: int, key: Key) -> None:
        self.take(key)
        del self._queues[engine][key]
        if not self._queues[engine]:
            del self._queues[engine]


def _slim(one: Timed) -> Timed:
    """Without what energy does not ask for: it is saved while it waits."""
    if one.step is None:
        return one
    return one._replace(step=msgspec.structs.replace(one.step, done=None, trace=None, links=()))
