"""How far its steps have brought each request, as arrays: a seat for each that a step included.

A batch has hundreds of members and comes a hundred times a second, so nothing here walks over
members one by one, but for those seen for the first time.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from otel_llm.agent.open_facts import Change, Key
from otel_llm.clock import MonotonicNs
from otel_llm.energy.rounding import Ints

KIND = "request.progress"
_FEWEST = 256
_BITS = 14
_MASK = (1 << _BITS) - 1
_ABSENT = -1
NOWHERE: Ints = np.zeros(0, dtype=np.int64)


class Progress(NamedTuple):
    """How far its steps have brought a request that has not ended.

    Attributes:
        scheduled_ns: its first step.
        phase: its phase in its last step; None before the first.
        cached_tokens: tokens it found computed: at its first step, and at a resumption beyond those
            it had computed itself.
        computed: tokens computed with its last step.
        reached: the most tokens it had computed, less those of rejected drafts.
        redone: `reached` when it was last resumed.
        recomputed_tokens: tokens scheduled below `reached`.
        rejected_tokens: drafts that were not accepted.
        discarded_tokens: tokens past the prompt in steps that have no result.
        output_tokens: tokens that its steps emitted.
        first_token_ns: result of the first step that emitted one.
        last_token_ns: result of the last step that emitted one.
    """

    scheduled_ns: MonotonicNs | None = None
    phase: int | None = None
    cached_tokens: int = 0
    computed: int = 0
    reached: int = 0
    redone: int = 0
    recomputed_tokens: int = 0
    rejected_tokens: int = 0
    discarded_tokens: int = 0
    output_tokens: int = 0
    first_token_ns: MonotonicNs | None = None
    last_token_ns: MonotonicNs | None = None


UNSEEN = Progress()
_BLANK = np.array([_ABSENT if value is None else value for value in UNSEEN], dtype=np.int64)


class Seats:
    """The numbers of `Progress` by seat. A seat is one request's until it leaves.

    Attributes:
        scheduled_ns, phase, cached_tokens, computed, reached, redone, recomputed_tokens,
            rejected_tokens, discarded_tokens, output_tokens, first_token_ns, last_token_ns:
            shape (seats,); as in `Progress`, -1 for None.
        left: how many have left their seat.
    """

    scheduled_ns: Ints
    phase: Ints
    cached_tokens: Ints
    computed: Ints
    reached: Ints
    redone: Ints
    recomputed_tokens: Ints
    rejected_tokens: Ints
    discarded_tokens: Ints
    output_tokens: Ints
    first_token_ns: Ints
    last_token_ns: Ints

    def __init__(self) -> None:
        self._seat_of: dict[int, int] = {}
        # Where to look first: by the last bits of a request's index. `_seat_of` is what is true.
        self._guess = np.zeros(_MASK + 1, dtype=np.int64)
        self._changed = self._stands = False
        self.left = 0
        self._lay_out(NOWHERE, np.zeros((len(_BLANK), 0), dtype=np.int64), _FEWEST)

    def find(self, index: Ints) -> Ints:
        """Seats of requests; -1 for one that has none.

        Args:
            index: shape (members,); at least 0.
        """
        seats = self._guess.take(index & _MASK)
        wrong = self._index.take(seats) != index
        if np.count_nonzero(wrong):
            for place in wrong.nonzero()[0].tolist():
                seats[place] = self._seat_of.get(int(index[place]), _ABSENT)
        return seats

    def take(self, index: int) -> int:
        """The seat of a request; a new one if it has none."""
        seat = self._seat_of.get(index)
        if seat is None:
            if not self._free:
                self._lay_out(self._index, self._numbers, 2 * len(self._index))
            seat = self._free.pop()
            self._seat_of[index] = self._guess[index & _MASK] = seat
            self._index[seat] = index
            self._numbers[:, seat] = _BLANK
            self._changed = True
        return seat

    def leave(self, index: int) -> None:
        """Let go of a request's seat, if it has one."""
        seat = self._seat_of.pop(index, None)
        if seat is not None:
            self._index[seat] = _ABSENT
            self._free.append(seat)
            self._changed = True
            self.left += 1

    def progress(self, index: int) -> Progress:
        """The numbers of one request."""
        seat = self._seat_of.get(index)
        if seat is None:
            return UNSEEN
        known = zip(Progress._fields, self._numbers[:, seat].tolist(), strict=True)
        # Where there is nothing yet, the default says so.
        return Progress(**{name: number for name, number in known if number != _ABSENT})

    def are_distinct(self, seats: Ints) -> bool:
        """Whether no seat comes twice."""
        places = self._places[: len(seats)]
        if len(places) < len(seats):  # more than there are seats
            return False
        self._mark[seats] = places
        return bool(np.count_nonzero(self._mark[seats] == places) == len(seats))

    def touch(self) -> None:
        """Say that numbers have changed."""
        self._changed = True

    def changes(self) -> list[Change]:
        """All of them together, if any has changed since the last `saved`."""
        if not self._changed:
            return []
        taken = np.flatnonzero(self._index >= 0)
        if not len(taken):
            return [(KIND, "", None)] if self._stands else []
        rows = np.concatenate([self._index[np.newaxis, taken], self._numbers[:, taken]])
        return [(KIND, "", rows.tobytes())]

    def saved(self) -> None:
        """What `changes` returned is safe."""
        if self._changed:
            self._changed, self._stands = False, bool(self._seat_of)

    def restore(self, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """Take up its own among saved rows.

        Raises:
            msgspec.ValidationError: they are damaged.
        """
        for kind, _, body in saved:
            if kind == KIND:
                self._restore(body)

    def _restore(self, body: bytes) -> None:
        rows = 1 + len(_BLANK)
        if len(body) % (8 * rows):
            message = f"{KIND}: {len(body)} bytes are no table of {rows} rows"
            raise msgspec.ValidationError(message)
        table = np.frombuffer(body, dtype=np.int64).reshape(rows, -1)
        self._seat_of = {index: seat for seat, index in enumerate(table[0].tolist())}
        self._lay_out(table[0], table[1:], max(_FEWEST, 2 * table.shape[1]))
        self._guess[table[0] & _MASK] = np.arange(table.shape[1])
        self._stands = True

    def _lay_out(self, index: Ints, numbers: Ints, count: int) -> None:
        """Make room for `count`, the first of which are these."""
        taken = len(index)
        self._index = np.full(count, _ABSENT, dtype=np.int64)
        self._index[:taken] = index
        self._numbers = np.zeros((len(_BLANK), count), dtype=np.int64)
        self._numbers[:, :taken] = numbers
        for name, row in zip(Progress._fields, self._numbers, strict=True):
            setattr(self, name, row)
        self._free = list(range(count - 1, taken - 1, -1))
        self._mark = np.zeros(count, dtype=np.int64)
        self._places = np.arange(count)
