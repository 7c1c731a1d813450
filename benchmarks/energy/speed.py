"""How long the attribution of one second takes, on one core."""

import statistics
import time

import numpy as np

from benchmarks.energy.pipeline import SHAPE
from otel_llm.energy.attribution import Steps, attribute
from otel_llm.energy.meter import Window
from otel_llm.energy.models import Members, work
from otel_llm.energy.shape import device_peak

ENGINES, RATE, BATCH, TOKENS = 8, 100, 256, 200


def attribution_ms(rounds: int = 40) -> list[float]:
    """CPU time of `work` and of the attribution for a second of one device with eight engines.

    Returns:
        Milliseconds, one figure per round, the first rounds left out.
    """
    peak = device_peak("H100")
    if peak is None:
        message = "devices.csv has lost the H100"
        raise LookupError(message)
    flat, start, request = _second()
    count = len(start)
    taken = []
    for _ in range(rounds + 3):
        began = time.thread_time_ns()
        done = work(flat, SHAPE, peak)
        steps = Steps(
            start, start + 9_000_000, done.energy_j, np.ones(count, dtype=np.bool_),
            flat.counts, request, flat.tokens == 1, done.shares,
        )  # fmt: skip
        attribute(Window(0, 10**9, 500_000, "counter", 10), steps, idle_power_mw=1e5)
        taken.append((time.thread_time_ns() - began) / 1e6)
    return taken[3:]


def spread(taken: list[float]) -> dict[str, float]:
    """Median and extremes, in milliseconds."""
    figures = {"min": min(taken), "median": statistics.median(taken), "max": max(taken)}
    return {name: round(value, 2) for name, value in figures.items()}


def _second() -> tuple[Members, np.typing.NDArray[np.int64], np.typing.NDArray[np.int64]]:
    """Each request decodes, but for one step in 200, in which a new one's prompt is computed."""
    random = np.random.default_rng(0)
    steps = ENGINES * RATE
    entries = steps * BATCH
    prefill = random.random(entries) < 1 / TOKENS
    tokens = np.where(prefill, 512, 1)
    context = np.where(prefill, 0, random.integers(100, 2000, entries))
    seat = np.tile(np.arange(BATCH), steps) + BATCH * np.repeat(np.arange(steps) % ENGINES, BATCH)
    # A new number where a prompt begins: as many requests as a second sees.
    request = seat + ENGINES * BATCH * (np.repeat(np.arange(steps) // ENGINES, BATCH) * 2 // RATE)
    start = np.arange(steps) // ENGINES * 10_000_000
    return Members(np.arange(steps) * BATCH, tokens, context), start, request
