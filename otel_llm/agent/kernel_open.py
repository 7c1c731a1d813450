"""The steps of one ring whose kernels may still come."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping

from otel_llm.agent.kernel_rows import Rows
from otel_llm.agent.kernel_state import OpenKernels

MOST_OPEN = 4_096
"""Steps that are open at once; past that the oldest is given."""
MOST_ROWS = 2_000_000
"""Rows held for open steps; likewise."""


class OpenSteps:
    """Open steps by the low 32 bits of their numbers, oldest first."""

    def __init__(self) -> None:
        self._steps: OrderedDict[int, OpenKernels] = OrderedDict()
        self._rows = 0
        self._damaged = False

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[int]:
        return iter(self._steps)

    def __contains__(self, low: object) -> bool:
        return low in self._steps

    def get(self, low: int) -> OpenKernels | None:
        """A step, if it is open."""
        return self._steps.get(low)

    @property
    def firsts(self) -> dict[int, int]:
        """What is saved: of each step the number of the frame with its first rows."""
        return {low: step.first for low, step in self._steps.items()}

    def restore(self, firsts: Mapping[int, int]) -> None:
        """Open the steps that were saved, without their rows."""
        for low, first in firsts.items():
            self._steps[low] = OpenKernels(first)

    def at(self, low: int, number: int, *, replayed: bool) -> OpenKernels | None:
        """The open step of rows in a frame; None where they were given before this agent started.

        Args:
            low: the step.
            number: of the frame.
            replayed: an agent before this one has read the frame.
        """
        step = self._steps.get(low)
        if step is not None:
            return step if number >= step.first else None
        if replayed:
            return None
        step = self._steps[low] = OpenKernels(number)
        step.incomplete = self._damaged
        return step

    def add(self, step: OpenKernels, rows: Rows, *, raw: bool) -> None:
        """Rows of an open step have come."""
        step.add(rows, raw=raw)
        self._rows += len(rows)

    def take(self, low: int) -> OpenKernels:
        """A step that is open no more.

        Raises:
            KeyError: it was not open.
        """
        step = self._steps.pop(low)
        self._rows -= step.rows
        return step

    def too_many(self) -> list[int]:
        """The oldest step, while there is more than may be held."""
        over = len(self._steps) > MOST_OPEN or self._rows > MOST_ROWS
        return [next(iter(self._steps))] if over else []

    def grow_older(self, newest: int, *, replayed: bool) -> list[int]:
        """A clock reading has passed; gives the steps that are over by it.

        Args:
            newest: greatest number of a step that rows have come of.
            replayed: an agent before this one has read it: nothing is over by it now.
        """
        for step in self._steps.values():
            step.quiet += 1
            step.age += 1
        if replayed:
            return []
        self._damaged = False
        return [low for low, step in self._steps.items() if step.is_over or step.is_behind(newest)]

    def note_lost(self) -> None:
        """Records were lost: what is open or begins before the next clock reading may miss some."""
        self._damaged = True
        for step in self._steps.values():
            step.incomplete = True
