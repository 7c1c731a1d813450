"""Power of two choices by calls in flight, among upstreams whose breaker admits."""

import random
from contextlib import ExitStack

from otel_llm.demo.gateway.balancer import Balancer, Upstream
from otel_llm.demo.gateway.breaker import BreakerPolicy, CircuitBreaker


def _upstreams(count: int) -> list[Upstream]:
    def breaker() -> CircuitBreaker:
        return CircuitBreaker(BreakerPolicy(consecutive=1), lambda: 0.0, lambda _: None)

    return [Upstream(f"engine-{number}", "http://x/", breaker()) for number in range(count)]


def test_the_less_busy_of_two() -> None:
    """Of two upstreams the one with fewer calls in flight is taken, always."""
    busy, idle = _upstreams(2)
    balancer = Balancer([busy, idle], random.Random(1))
    with busy.serving():
        assert {balancer.pick() for _ in range(50)} == {idle}
    assert busy.in_flight == 0


def test_load_spreads() -> None:
    """With calls that stay, loads differ by little; the busiest of all is never picked alone."""
    upstreams = _upstreams(5)
    balancer = Balancer(upstreams, random.Random(2))
    with ExitStack() as calls:
        for _ in range(100):
            picked = balancer.pick()
            assert picked is not None
            calls.enter_context(picked.serving())
        loads = [upstream.in_flight for upstream in upstreams]
    assert sum(loads) == 100
    assert max(loads) - min(loads) <= 6


def test_prefers_what_was_not_tried() -> None:
    """An upstream that failed this call is taken again only if there is no other."""
    first, second = _upstreams(2)
    balancer = Balancer([first, second], random.Random(3))
    assert {balancer.pick([first]) for _ in range(20)} == {second}
    assert balancer.pick([first, second]) in (first, second)


def test_open_breakers_are_left_out() -> None:
    """Upstreams with an open breaker take nothing; with all open there is none."""
    first, second = _upstreams(2)
    balancer = Balancer([first, second], random.Random(4))
    with first.serving() as trial:
        trial.failed()
    assert {balancer.pick() for _ in range(20)} == {second}
    with second.serving() as trial:
        trial.failed()
    assert balancer.pick() is None
