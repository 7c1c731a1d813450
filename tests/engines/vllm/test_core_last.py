"""The latest token of each request, kept without a look at each member of each step."""

from hypothesis import given
from hypothesis import strategies as st

from otel_llm.clock import MonotonicNs
from otel_llm.engines.vllm.core_last import LastTokens

NAMES = "abcd"


def test_the_same_members_step_after_step() -> None:
    """Each has its last token in the latest step."""
    last, ids = LastTokens(), ["a", "b"]
    for at in (1, 2, 3):
        last.landed(ids, [1, 1], MonotonicNs(at))
    assert (last.take("a"), last.take("b")) == (3, 3)


def test_a_request_without_a_token() -> None:
    """It has no last token, whether or not a step had it."""
    last = LastTokens()
    last.landed(["a"], [0], MonotonicNs(1))
    assert (last.take("a"), last.take("b")) == (None, None)


def test_it_forgets() -> None:
    """A request that has ended is not written down again when the next step leaves it out."""
    last = LastTokens()
    last.landed(["a", "b"], [1, 1], MonotonicNs(1))
    assert last.take("a") == 1
    last.landed(["b"], [1], MonotonicNs(2))
    assert (last.take("a"), last.take("b")) == (None, 2)


@given(st.lists(st.tuples(st.permutations(NAMES), st.lists(st.integers(0, 2), max_size=4))))
def test_any_steps(steps: list[tuple[list[str], list[int]]]) -> None:
    """It agrees with a dictionary that is kept up to date at every step."""
    last, ids = LastTokens(), [*NAMES]
    known: dict[str, int] = {}
    for at, (order, gained) in enumerate(steps, 1):
        now = order[: len(gained)]
        ids = ids if ids == now else now
        last.landed(ids, list(gained), MonotonicNs(at))
        known |= {one: at for one, count in zip(now, gained, strict=True) if count}
    assert [last.take(one) for one in NAMES] == [known.get(one) for one in NAMES]
    assert [last.take(one) for one in NAMES] == [None] * len(NAMES)
