"""A step between its scheduling and its result."""

import msgspec

from otel_llm.engines.vllm.accounts import Account


class Flight(msgspec.Struct):
    """A step in flight. Members are named by their place in the batch.

    Attributes:
        seq: the step's number.
        ids: its members' request ids.
        tokens: shape (batch,); tokens scheduled.
        drafts: shape (batch,); of `tokens`, how many are speculative. None if none is.
        own: see `Placed.own`, where it is not all of `tokens`.
        first: members that may get their first token from it.
        stale: members preempted since, whose result counts all the same.
        dropped: members whose result will be thrown away.
        gone: members that have ended since.
    """

    seq: int
    ids: list[str]
    tokens: list[int]
    drafts: list[int] | None = None
    own: dict[int, int] = {}
    first: dict[int, Account] = {}
    stale: frozenset[int] = frozenset()
    dropped: dict[int, Account] = {}
    gone: frozenset[int] = frozenset()

    def place(self, request_id: str) -> int | None:
        """Where a request stands in the batch; None if it is no member, or one no longer."""
        if request_id not in self.ids:
            return None
        place = self.ids.index(request_id)
        return None if place in self.gone else place

    def worth(self, place: int) -> int:
        """Output tokens that the member's part of the step was to make; see `Placed.own`."""
        return self.own.get(place, self.tokens[place])

    def drop(self, place: int, account: Account) -> int:
        """The member's result will be thrown away. Returns what it was worth."""
        self.dropped[place] = account
        return self.worth(place)

    def lose(self, place: int) -> int:
        """The member has ended: its result will count for nothing. Returns what it was worth."""
        self.gone |= {place}
        self.dropped.pop(place, None)
        return self.worth(place)
