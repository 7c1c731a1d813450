"""Rounds of timed calls that take turns, and those of them that nothing disturbed."""

import math
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

ROUND_NS = 4_000_000
QUIET = 1.15
FEWEST = 5
MOST = 10
"""As many rounds at most for each that is enough."""

Round = Callable[[], float]


class Timed(NamedTuple):
    """What each round took, by name.

    Attributes:
        quiet: rounds during which the processor had its full speed, as far as one can tell; all
            rounds where there were fewer than five such.
        every: all rounds.
    """

    quiet: dict[str, list[float]]
    every: dict[str, list[float]]


def in_turn(rounds: Mapping[str, Round], enough: int, within_s: float = math.inf) -> Timed:
    """Take turns until each has had enough quiet rounds, but at most ten times as many in all.

    A virtual processor that shares its core runs at half speed while its neighbour is busy. A round
    is quiet if a fixed loop before and after it ran at most 15 % slower than it ever did.

    Args:
        rounds: what to call, by name; what they return is what they took.
        enough: quiet rounds of each.
        within_s: begin no third turn or later one after so many seconds.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in rounds}
    until = time.monotonic() + within_s
    best = min(_reference() for _ in range(50))
    for turn in range(MOST * enough):
        if turn > 1 and time.monotonic() > until:
            break
        before = _reference()
        for name, take in rounds.items():
            took = take()
            after = _reference()
            taken[name].append((max(before, after), took))
            before = after
            best = min(best, after)
        if all(len(_quiet(each, best)) >= enough for each in taken.values()):
            break
    every = {name: [took for _, took in each] for name, each in taken.items()}
    quiet = {name: _quiet(each, best) for name, each in taken.items()}
    return Timed(
        {name: quiet[name] if len(quiet[name]) >= FEWEST else every[name] for name in rounds}, every
    )


def calls_per_round(function: Callable[[], None]) -> int:
    """How many calls fill a round of 4 ms."""
    calls = 64
    while (took := mean_ns(function, calls) * calls) < ROUND_NS / 8:
        calls *= 2
    return max(1, int(calls * ROUND_NS / took))


def mean_ns(function: Callable[[], None], calls: int) -> float:
    """Mean CPU time of so many calls, in nanoseconds."""
    began = time.thread_time_ns()
    for _ in range(calls):
        function()
    return (time.thread_time_ns() - began) / calls


def _quiet(rounds: list[tuple[float, float]], best: float) -> list[float]:
    return [took for reference, took in rounds if reference <= best * QUIET]


def _reference() -> float:
    began = time.thread_time_ns()
    total = 0
    for number in range(10_000):
        total += number
    return float(time.thread_time_ns() - began)
