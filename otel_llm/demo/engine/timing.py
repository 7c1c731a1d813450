"""Timing of the model's operations, so that they can be reported as kernels."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Protocol


class Timer(Protocol):
    """What the model is given to time its operations with."""

    def __call__(self, name: str) -> AbstractContextManager[None]:
        """Time the body of the `with` statement under `name`. Not re-entrant."""
        ...


class KernelTimer:
    """Records name, start and duration of each operation of one step.

    One object serves every operation: operations follow each other and never nest.

    Attributes:
        names: distinct names, in order of first use; grows over the engine's life.
        name_index: shape (operations,); index into `names`.
        start_ns: shape (operations,); start of each, in monotonic nanoseconds.
        duration_ns: shape (operations,); duration of each, in nanoseconds.
    """

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.names: list[str] = []
        self._index: dict[str, int] = {}
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget the operations of the last step; the names stay."""
        self.name_index: list[int] = []
        self.start_ns: list[int] = []
        self.duration_ns: list[int] = []

    def __call__(self, name: str) -> "KernelTimer":
        """Name the operation about to start."""
        index = self._index.get(name)
        if index is None:
            index = self._index[name] = len(self.names)
            self.names.append(name)
        self.name_index.append(index)
        return self

    def __enter__(self) -> None:
        """Start the operation."""
        self.start_ns.append(self._clock())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the operation."""
        self.duration_ns.append(self._clock() - self.start_ns[-1])


_NOTHING = nullcontext()


def untimed(name: str) -> AbstractContextManager[None]:  # noqa: ARG001  a Timer
    """The timer that does not time."""
    return _NOTHING
