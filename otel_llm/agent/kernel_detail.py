"""Which steps of one ring are kept in detail: by number, or late, for the sake of a request."""

from collections import Counter, OrderedDict
from collections.abc import Container, Sequence
from typing import Any

from otel_llm.agent.kernel_state import OLD, Wanted
from otel_llm.agent.open_facts import Kept, Recent
from otel_llm.journal.reader import Cursor

MOST_FRAMES = 8_192
"""Frames of single kernels whose place is remembered, by step: what a ring of 256 MB holds."""
MOST_WANTED = 1_024
LOW = 0xFFFF_FFFF
"""What single rows hold of a step's number."""


class Detail:
    """Remembers what is kept, what shall be, and where in the ring it may be read again.

    Args:
        every: steps whose number this divides are kept; 0 for none.

    Attributes:
        late: steps asked for late, by what became of them: kept, gone or over.
    """

    def __init__(self, every: int) -> None:
        self.late: Counter[str] = Counter()
        self._every = every
        self._places: OrderedDict[int, list[Cursor]] = OrderedDict()
        self._frames = 0
        self._wanted = Kept("kernels.wanted", Wanted, MOST_WANTED)
        self._kept = Recent("kernels.kept")

    @property
    def memory(self) -> Sequence[Kept[Any] | Recent]:
        """What is saved."""
        return (self._wanted, self._kept)

    def remember(self, low: int, at: Cursor) -> None:
        """A frame holds single kernels of a step, by the low 32 bits of its number."""
        places = self._places.setdefault(low, [])
        if low and (not places or places[-1] != at):
            places.append(at)
            self._frames += 1
        while self._frames > MOST_FRAMES:
            _, oldest = self._places.popitem(last=False)
            self._frames -= len(oldest)

    def why(self, seq: int) -> str:
        """Why a step that is over is kept; empty if it is not."""
        wanted = self._wanted.take(seq)
        if wanted is not None:
            return wanted.why
        return "sample" if seq and self._every and seq % self._every == 0 else ""

    def is_kept(self, seq: int, why: str) -> None:
        """A step's single kernels have been given."""
        self._kept.add(seq)
        self.late["kept"] += why != "sample"

    def ask(self, seq: int, why: str, *, is_coming: bool) -> list[Cursor]:
        """Keep a step, although nobody asked for it when it ran.

        Args:
            seq: the step.
            why: slow, failed or expensive.
            is_coming: its kernels are not all in yet, so that it is kept when they are.

        Returns:
            Frames that may hold its kernels; none where it is coming, is kept already, or is gone.
        """
        if seq in self._kept or self._wanted.get(seq) is not None:
            return []
        if is_coming:
            self.late["over"] += self._wanted.put(seq, Wanted(why)) is not None
            return []
        places = self._places.get(seq & LOW, [])
        self.late["gone"] += not places
        return places

    def expire(self, still_open: Container[int]) -> None:
        """A clock reading has passed: steps that were asked for and never came are gone."""
        for key, wanted in self._wanted.items():
            wanted.quiet += 1
            if wanted.quiet > OLD and int(key) & LOW not in still_open:
                self._wanted.take(key)
                self.late["gone"] += 1

    def end(self) -> None:
        """Nothing comes any more."""
        for key, _ in self._wanted.items():  # noqa: PERF102  no dict
            self._wanted.take(key)
            self.late["gone"] += 1
