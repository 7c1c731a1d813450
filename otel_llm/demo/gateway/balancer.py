"""Which upstream takes the next try: of two picked at random, the one with fewer calls in flight.

Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001).
"""

import random
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from otel_llm.demo.gateway.breaker import CircuitBreaker, Trial


class Upstream:
    """One engine behind the gateway.

    Args:
        name: its name in facts, spans and metrics.
        url: its base URL.
        breaker: its circuit breaker.

    Attributes:
        in_flight: tries it is serving now.
    """

    def __init__(self, name: str, url: str, breaker: CircuitBreaker) -> None:
        self.name = name
        self.url = url.rstrip("/")
        self.breaker = breaker
        self.in_flight = 0

    @contextmanager
    def serving(self) -> Iterator[Trial]:
        """Count a try in flight; its breaker admits it."""
        trial = self.breaker.begin()
        self.in_flight += 1
        try:
            yield trial
        finally:
            self.in_flight -= 1
            trial.close()


class Balancer:
    """Picks upstreams.

    Args:
        upstreams: all of them.
        rng: source of the random picks.
    """

    def __init__(self, upstreams: Sequence[Upstream], rng: random.Random) -> None:
        self.upstreams = upstreams
        self._rng = rng

    def pick(self, tried: Collection[Upstream] = ()) -> Upstream | None:
        """An upstream whose breaker admits a try, one not tried before if there is one."""
        admitting = [each for each in self.upstreams if each.breaker.admits]
        fresh = [each for each in admitting if each not in tried]
        candidates = fresh or admitting
        if not candidates:
            return None
        two = self._rng.sample(candidates, min(2, len(candidates)))
        return min(two, key=lambda upstream: upstream.in_flight)
