"""A fake journal for tests of instrumented gateways; users may use it too."""

from otel_llm.facts.gateway import Attempt, GatewayCall, GatewayCallStarted


class FactList:
    """Keeps facts in order, in place of a journal.

    Attributes:
        facts: all facts.
        swallowed: how many errors were kept from the gateway.
        closed: whether it was closed.
    """

    def __init__(self) -> None:
        self.facts: list[GatewayCallStarted | GatewayCall | Attempt] = []
        self.swallowed = 0
        self.closed = False

    def write(self, record: GatewayCallStarted | GatewayCall | Attempt) -> None:
        """Keep one fact."""
        self.facts.append(record)

    def count_swallowed(self) -> None:
        """Count one error."""
        self.swallowed += 1

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    @property
    def started(self) -> list[GatewayCallStarted]:
        """Calls that began."""
        return [fact for fact in self.facts if isinstance(fact, GatewayCallStarted)]

    @property
    def calls(self) -> list[GatewayCall]:
        """Calls that ended."""
        return [fact for fact in self.facts if isinstance(fact, GatewayCall)]

    @property
    def attempts(self) -> list[Attempt]:
        """Attempts that ended."""
        return [fact for fact in self.facts if isinstance(fact, Attempt)]
