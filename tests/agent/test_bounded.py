"""A map that stays small."""

from otel_llm.agent.bounded import Bounded


def test_the_key_set_longest_ago_is_forgotten() -> None:
    """Setting a key again makes it the newest; reading it does not."""
    seen: Bounded[str, int] = Bounded(2)
    seen["a"], seen["b"] = 1, 2
    seen["a"] = 3
    assert seen["b"] == 2
    seen["c"] = 4
    assert dict(seen) == {"a": 3, "c": 4}
