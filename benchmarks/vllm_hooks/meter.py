"""Times the hooks where they stand: inside the engine, around vLLM's own functions.

A hook is put in as the product puts it in, with one stopwatch around it and one around the original
inside it. What lies between the two is the hook's own time. Hooks inside an original count for
themselves, so the sum over all hooks is the time that the engine spends in them.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter_ns
from typing import Any

from otel_llm.patching import Make, Patch, PatchSet, Replacement

Function = Callable[..., Any]


class Cell:
    """What one hook has taken.

    Attributes:
        spent_ns: time in the hook, vLLM's own function left out.
    """

    __slots__ = ("left_ns", "own_ns", "spent_ns")

    def __init__(self) -> None:
        self.spent_ns = 0
        self.own_ns = 0  # when vLLM's own function began, in the call under way
        self.left_ns = 0  # and when it returned


class Meter:
    """Stopwatches for a set of hooks.

    Args:
        patches: the hooks.

    Attributes:
        timed: the hooks with stopwatches; apply and undo it.
        empty: only the stopwatches, around vLLM's own functions. What they show then is their own
            time, to be taken off what they show with hooks.
    """

    def __init__(self, patches: Sequence[Patch]) -> None:
        self._cells: dict[str, Cell] = {}
        self.timed = self._with_stopwatches(patches, lambda make: make)
        self.empty = self._with_stopwatches(patches, lambda _: _unchanged)

    def spent_ns(self) -> int:
        """Time in all hooks so far."""
        return sum(cell.spent_ns for cell in self._cells.values())

    def by_hook_ns(self) -> dict[str, int]:
        """Time in each hook so far, by `Owner.function`."""
        return {name: cell.spent_ns for name, cell in self._cells.items()}

    def _with_stopwatches(self, patches: Sequence[Patch], hook: Callable[[Make], Make]) -> PatchSet:
        def around(replacement: Replacement) -> Replacement:
            owner, name, make = replacement
            cell = self._cells.setdefault(f"{getattr(owner, '__name__', owner)}.{name}", Cell())
            return Replacement(owner, name, stopwatches(hook(make), cell))

        return PatchSet(*(Patch(one.name, tuple(map(around, one.replacements))) for one in patches))


def own_time(hooks: Sequence[float], stopwatches: Sequence[float]) -> float:
    """Time of the hooks alone, per step: medians, less what stopwatches show without hooks.

    Args:
        hooks: what stopwatches show for each of some steps with hooks in.
        stopwatches: the same without hooks.
    """
    return median(hooks) - median(stopwatches)


def stopwatches(make: Make, cell: Cell) -> Make:
    """A maker of the same hook with stopwatches; coroutine functions are left without."""

    def made(original: Function) -> Function:
        if inspect.iscoroutinefunction(original):
            return make(original)

        @functools.wraps(original)
        def inner(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  whatever vLLM passes
            cell.own_ns = perf_counter_ns()
            try:
                return original(*args, **kwargs)
            finally:
                cell.left_ns = perf_counter_ns()

        hook = make(inner)

        def outer(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            began = perf_counter_ns()
            try:
                return hook(*args, **kwargs)
            finally:
                ended = perf_counter_ns()
                cell.spent_ns += cell.own_ns - began + ended - cell.left_ns

        return outer

    return made


def _unchanged(original: Function) -> Function:
    return original
