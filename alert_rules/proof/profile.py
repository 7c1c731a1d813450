"""Counters that grow as told, in promtool's notation."""

from collections.abc import Iterable
from typing import NamedTuple


class Piece(NamedTuple):
    """A time in which a counter grows evenly.

    Attributes:
        of_s: how long, in seconds.
        rate: events per second.
        reset: whether the counter begins again from 0.
    """

    of_s: float
    rate: float
    reset: bool = False


def counter(pieces: Iterable[Piece], interval_s: float) -> str:
    """Samples of a counter, one an interval.

    Args:
        pieces: one after another.
        interval_s: between samples, in seconds.
    """
    value, parts = 0.0, []
    for piece in pieces:
        steps = round(piece.of_s / interval_s)
        step = piece.rate * interval_s
        value = 0.0 if piece.reset else value
        if steps:
            parts.append(f"{value:.10g}+{step:.10g}x{steps - 1}")
        value += step * steps
    return " ".join(parts)
