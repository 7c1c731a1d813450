"""Requests in flight: what is known of each, and how far its steps have brought it."""

from collections.abc import Sequence

from otel_llm.agent.open_facts import Change, Key, OpenFacts, OpenRequest
from otel_llm.agent.seats import Progress, Seats


class OpenRequests(OpenFacts[OpenRequest]):
    """The requests of one engine.

    Args:
        most: how many are kept.

    Attributes:
        seats: numbers of those that steps have included.
    """

    def __init__(self, most: int) -> None:
        super().__init__("request", OpenRequest, most)
        self.seats = Seats()

    def progress(self, index: int) -> Progress:
        """How far its steps have brought a request."""
        return self.seats.progress(index)

    def put(self, key: Key, fact: OpenRequest) -> OpenRequest | None:
        """As `Kept.put`; one that had to make room has no seat any more."""
        given_up = super().put(key, fact)
        if given_up is not None:
            self.seats.leave(given_up.index)
        return given_up

    def take(self, key: Key) -> OpenRequest | None:
        """As `Kept.take`; ask for its progress before."""
        request = super().take(key)
        if request is not None:
            self.seats.leave(request.index)
        return request

    def changes(self) -> list[Change]:
        """As `OpenFacts.changes`, and the seats."""
        return super().changes() + self.seats.changes()

    def saved(self) -> None:
        """What `changes` returned is safe."""
        super().saved()
        self.seats.saved()

    def restore(self, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """As `OpenFacts.restore`, and the seats."""
        super().restore(saved)
        self.seats.restore(saved)
