"""A step between its scheduling and its result."""

from otel_llm.clock import MonotonicNs
from otel_llm.engines.vllm.accounts import Account
from otel_llm.engines.vllm.core_flight import Flight
from otel_llm.isolation import Guard
from otel_llm.recorder import RequestHandle


def account() -> Account:
    """Of some request."""
    handle = RequestHandle(1, lambda _record: None, lambda: MonotonicNs(1), Guard("test"))
    return Account(handle, 5)


def test_where_a_request_stands() -> None:
    """Members have a place until they end; a member is worth its tokens unless it is told less."""
    flight = Flight(1, ["a", "b"], [1, 7], own={1: 2})
    assert [flight.place(one) for one in ("a", "b", "c")] == [0, 1, None]
    assert [flight.worth(place) for place in (0, 1)] == [1, 2]
    assert flight.lose(1) == 2
    assert flight.place("b") is None


def test_what_counts_for_nothing() -> None:
    """A dropped result is discarded when it comes in, one of a request that ended was before."""
    flight, dropped, ended = Flight(1, ["a", "b", "c"], [3, 3, 1]), account(), account()
    assert (flight.drop(0, dropped), flight.drop(1, ended), flight.lose(1)) == (3, 3, 3)
    gained = [2, 1, 1]
    flight.strike(gained)
    assert gained == [0, 0, 1]
    assert (dropped.discarded, ended.discarded) == (3, 0)


def test_drafts_that_are_judged() -> None:
    """Not those of a result that counts for nothing, nor where no token came out at all."""
    flight = Flight(1, [*"abcde"], [4, 4, 1, 4, 4], drafts=[3, 3, 0, 3, 3])
    flight.sampled = [2, 0, 1, 4, 4]
    flight.drop(3, account())
    flight.lose(4)
    assert list(flight.judged(per_step=1)) == [(0, 1, 2)]


def test_a_diffusion_step_without_a_token_has_rejected_all() -> None:
    """Its tokens are all drafts."""
    flight = Flight(1, ["a", "b"], [4, 4], drafts=[4, 4], sampled=[0, 4])
    assert list(flight.judged(per_step=0)) == [(0, 0, 4), (1, 4, 0)]
