"""A step between its scheduling and its result."""

from collections.abc import Iterator

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
        sampled: shape (batch,); tokens in its result before the scheduler cut it; see `judged`.
    """

    seq: int
    ids: list[str]
    tokens: list[int]
    drafts: list[int] | None = None
    own: dict[int, int] | None = None
    first: dict[int, Account] | None = None
    stale: frozenset[int] = frozenset()
    dropped: dict[int, Account] | None = None
    gone: frozenset[int] = frozenset()
    sampled: list[int] | None = None

    def place(self, request_id: str) -> int | None:
        """Where a request stands in the batch; None if it is no member, or one no longer."""
        if request_id not in self.ids:
            return None
        place = self.ids.index(request_id)
        return None if place in self.gone else place

    def worth(self, place: int) -> int:
        """Output tokens that the member's part of the step was to make; see `Placed.own`."""
        return (self.own or {}).get(place, self.tokens[place])

    def drop(self, place: int, account: Account) -> int:
        """The member's result will be thrown away. Returns what it was worth."""
        self.dropped = {**(self.dropped or {}), place: account}
        return self.worth(place)

    def lose(self, place: int) -> int:
        """The member has ended: its result will count for nothing. Returns what it was worth."""
        self.gone |= {place}
        if self.dropped:
            self.dropped.pop(place, None)
        return self.worth(place)

    def strike(self, gained: list[int]) -> None:
        """Take out of a result what counts for nothing."""
        for place in self.gone:
            gained[place] = 0
        for place, account in (self.dropped or {}).items():
            gained[place] = 0
            account.discarded += self.worth(place)

    def judged(self, per_step: int) -> Iterator[tuple[int, int, int]]:
        """Members whose drafts have been accepted or rejected.

        Args:
            per_step: tokens that a member samples besides its drafts.

        Yields:
            Place, drafts accepted, drafts rejected.
        """
        for place, drafts in enumerate(self.drafts or ()):
            sampled = self.sampled[place] if self.sampled else 0
            if not drafts or place in self.gone or place in (self.dropped or ()):
                continue
            if sampled or not per_step:  # else vLLM goes on as if it had kept them
                accepted = max(0, sampled - per_step)
                yield place, accepted, drafts - accepted
