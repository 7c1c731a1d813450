"""Rounds take turns until enough were quiet, or the time is up."""

import itertools
from collections.abc import Iterator

import pytest

from benchmarks import rounds


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the fixed loop takes, one reading after the other; 1.0 when the list is used up."""
    readings: list[float] = []

    def read() -> float:
        return readings.pop(0) if readings else 1.0

    monkeypatch.setattr(rounds, "_reference", read)
    return readings


def numbers() -> Iterator[float]:
    """One after the other, from 1.0."""
    return map(float, itertools.count(1))


def test_they_take_turns_until_enough(reference: list[float]) -> None:
    """On a quiet machine each is called exactly as often as is enough."""
    assert reference == []
    order: list[str] = []

    def named(name: str) -> rounds.Round:
        def take() -> float:
            order.append(name)
            return 1.0

        return take

    found = rounds.in_turn({"a": named("a"), "b": named("b")}, 6)
    assert order == ["a", "b"] * 6
    assert found.quiet == found.every == {"a": [1.0] * 6, "b": [1.0] * 6}


def test_a_disturbed_round_does_not_count(reference: list[float]) -> None:
    """A round with a slow loop before or after it is left out, and made up for."""
    reference += [1.0] * 50 + [1.0, 2.0, 2.0, 2.0]  # 50 to find the best; then before, after, …
    found = rounds.in_turn({"a": numbers().__next__}, 6)
    assert found.every["a"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert found.quiet["a"] == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]


def test_too_few_quiet_rounds_are_none(reference: list[float]) -> None:
    """Where fewer than five were quiet all count, and there is an end to trying."""
    reference += [1.0] * 50 + [3.0] * 1000
    found = rounds.in_turn({"a": numbers().__next__}, 6)
    assert len(found.every["a"]) == 60
    assert found.quiet == found.every


def test_time_ends_it_after_two(reference: list[float]) -> None:
    """When the time is up no turn begins, but for the two that a spread needs."""
    assert reference == []
    found = rounds.in_turn({"a": numbers().__next__}, 6, within_s=0.0)
    assert found.every["a"] == [1.0, 2.0]
