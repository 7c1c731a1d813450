"""Requests in flight: what is known of each, and how far its steps have brought it."""

from array import array
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from otel_llm.agent import seats
from otel_llm.agent.open_facts import Change, Key, OpenFacts, OpenRequest
from otel_llm.agent.seats import Progress, Seats
from otel_llm.agent.shared_rows import SharedRows

KIND, OPEN = "request.rows", "request.open"
_ALONE = "request"
"""What agents wrote before: a row for each request."""


class OpenRequests(OpenFacts[OpenRequest]):
    """The requests of one engine.

    In the checkpoint they are in shared rows; one more row says which of them are open.

    Args:
        most: how many are kept.

    Attributes:
        seats: numbers of those that steps have included.
        missing: how many the checkpoint named and had no row of.
    """

    def __init__(self, most: int) -> None:
        super().__init__("request", OpenRequest, most)
        self._rows = SharedRows(KIND, _ALONE, OpenRequest)
        self._moved = self._told = False
        self.seats = Seats()
        self.missing = 0

    def progress(self, index: int) -> Progress:
        """How far its steps have brought a request."""
        return self.seats.progress(index)

    def put(self, key: Key, fact: OpenRequest) -> OpenRequest | None:
        """As `Kept.put`; one that had to make room has no seat any more."""
        self._facts[key] = fact
        self._rows.add(key)
        self._moved = True
        if len(self._facts) <= self._most:
            return None
        return self.take(next(iter(self._facts)))

    def touch(self, key: Key) -> None:
        """As `Kept.touch`."""
        self._rows.touch(key)

    def take(self, key: Key) -> OpenRequest | None:
        """As `Kept.take`; ask for its progress before."""
        request = self._facts.pop(key, None)
        if request is not None:
            self._rows.discard(key)
            self._moved = True
            self.seats.leave(request.index)
        return request

    def changes(self) -> list[Change]:
        """As `OpenFacts.changes`, and the seats."""
        rows = self._rows.changes(self._facts.__getitem__)
        if self._moved and (self._facts or self._told):
            numbers = array("q", map(int, self._facts)).tobytes()
            rows.append((OPEN, "", numbers or None))
        return rows + self._ended.changes() + self.seats.changes()

    def saved(self) -> None:
        """What `changes` returned is safe."""
        self._ended.saved()
        self._rows.saved()
        if self._moved:
            self._moved, self._told = False, bool(self._facts)
        self.seats.saved()

    def restore(self, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """As `OpenFacts.restore`, and the seats."""
        self._ended.restore(saved)
        found = self._rows.restore(saved)
        told = [body for kind, _, body in saved if kind == OPEN]
        numbers = _numbers(told[0]) if told else list(found)
        self._facts = OrderedDict((key, found[key]) for key in numbers if key in found)
        for key in found.keys() - self._facts.keys():
            self._rows.discard(key)
        self._told, self._moved = bool(told), len(self._facts) != len(numbers) or not told
        self.missing = sum(key not in found for key in numbers)
        self.seats.restore(saved)
        self.seats.keep(set(map(int, self._facts)))


def facts_in(saved: Sequence[tuple[str, Key, bytes]]) -> int:
    """How many facts saved rows tell of, damaged ones too: those open, and one a row else."""
    shared = (KIND, seats.KIND)
    return sum(len(body) // 8 if kind == OPEN else kind not in shared for kind, _, body in saved)


def _numbers(body: bytes) -> list[int]:
    numbers = array("q")
    if len(body) % numbers.itemsize:
        message = f"{OPEN}: {len(body)} bytes are no numbers of requests"
        raise msgspec.ValidationError(message)
    numbers.frombytes(body)
    return numbers.tolist()
