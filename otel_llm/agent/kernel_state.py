"""What is remembered of a kernel ring from one look to the next, and from one agent to the next."""

from typing import TYPE_CHECKING

import msgspec

from otel_llm.clock import Anchor, EpochNs
from otel_llm.kernels.whose import Whose

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

QUIET, OLD = 2, 15
"""Clock readings (one a second) without a row after which a step is over, and its greatest age in
them: longer than the longest time between a shim's flushes, at which sums are written."""


class RingState(msgspec.Struct):
    """What is saved of a ring.

    Attributes:
        seq: number of the next frame; those before it are counted.
        open: steps whose kernels may still come, by the low 32 bits of their numbers: number of the
            frame with their first rows. A later agent reads on from there, as the ring still has
            them, so that rows are never saved twice.
        whose: whose kernels they are, as last told.
        anchor: latest clock reading; None before the first.
        cupti_ns: CUPTI's clock minus the wall's at that moment.
        newest: greatest number of a step so far.
        devices: device numbers of the process, in the order in which they came.
        counters: the shim's counters as last seen.
        dropped: rows that the shim could not write, as last seen.
        ended_ns: wall time at which the ring was read out; None while it is followed.
    """

    seq: int = 1
    open: dict[int, int] = {}
    whose: Whose = Whose()
    anchor: Anchor | None = None
    cupti_ns: int = 0
    newest: int = 0
    devices: list[int] = []
    counters: dict[str, int] = {}
    dropped: int = 0
    ended_ns: EpochNs | None = None


class OpenKernels:
    """A step whose kernels may still come.

    Attributes:
        first: number of the frame with its first rows.
        seq: the step's whole number; None while only single kernels of it have come.
        raw: its single kernels, frame by frame.
        sums: its sums, likewise.
        rows: how many rows those are.
        quiet: clock readings since its last row.
        age: clock readings since its first row.
        incomplete: records were lost that may have been its own.
    """

    __slots__ = ("age", "first", "incomplete", "quiet", "raw", "rows", "seq", "sums")

    def __init__(self, first: int) -> None:
        self.first = first
        self.seq: int | None = None
        self.raw: list[npt.NDArray[np.void]] = []
        self.sums: list[npt.NDArray[np.void]] = []
        self.rows = self.quiet = self.age = 0
        self.incomplete = False

    @property
    def is_over(self) -> bool:
        """Whether its kernels are in. Sums come last, and a step without them waits longer."""
        return self.age >= OLD or (self.quiet >= QUIET and bool(self.sums))

    def is_behind(self, newest: int) -> bool:
        """Whether the device has gone on to a later step: it runs one after another.

        Args:
            newest: greatest number of a step that rows have come of.
        """
        return bool(self.sums) and self.seq is not None and 0 < self.seq < newest

    def add(self, rows: "npt.NDArray[np.void]", *, raw: bool) -> None:
        """Some rows have come."""
        (self.raw if raw else self.sums).append(rows)
        self.rows += len(rows)
        self.quiet = 0


class Wanted(msgspec.Struct):
    """A step to be kept in detail once its kernels are in.

    Attributes:
        why: slow, failed or expensive.
        quiet: clock readings since it was asked for.
    """

    why: str
    quiet: int = 0
