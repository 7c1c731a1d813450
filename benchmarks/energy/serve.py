"""Serves a trace on the simulated GPU with continuous batching; keeps facts and truth apart."""

import csv
import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.energy.gpu import Batch, Floats, Gpu, Law

BUDGET = 2048
SEATS = 128


class Arrival(NamedTuple):
    """A request of a trace: when it comes, in seconds, and how long it is, in tokens."""

    at_s: float
    prompt: int
    output: int


class Run(NamedTuple):
    """A run's facts, which a pipeline may see, and its truth, which it may not.

    Attributes:
        starts_s, ends_s, busy_s: shape (steps,).
        batches: the steps' members.
        curve_s, curve_j: the GPU's energy over time, for sensors.
        truth_j: of each request that ended, in joules.
        life_s: from its first step to its last, in seconds.
    """

    starts_s: Floats
    ends_s: Floats
    busy_s: Floats
    batches: list[Batch]
    curve_s: Floats
    curve_j: Floats
    truth_j: dict[int, float]
    life_s: dict[int, float]


def azure(path: Path) -> list[Arrival]:
    """Arrivals of the Azure trace of conversations."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    times = [datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp() for row in rows]
    return [
        Arrival(time - times[0], int(row["ContextTokens"]), int(row["GeneratedTokens"]))
        for time, row in zip(times, rows, strict=True)
    ]


def mooncake(path: Path) -> list[Arrival]:
    """Arrivals of the Mooncake trace of conversations."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Arrival(row["timestamp"] / 1000, row["input_length"], row["output_length"]) for row in rows
    ]


def part(arrivals: list[Arrival], start_s: float, span_s: float, pace: float) -> list[Arrival]:
    """A piece of a trace, `pace` times as fast, beginning at 1 s."""
    return [
        one._replace(at_s=1 + (one.at_s - start_s) / pace)
        for one in arrivals
        if start_s <= one.at_s < start_s + span_s * pace
    ]


class _Seat:
    def __init__(self, number: int, arrival: Arrival) -> None:
        self.number, self.arrival, self.done = number, arrival, 0

    @property
    def decode(self) -> bool:
        return self.done >= self.arrival.prompt

    @property
    def ended(self) -> bool:
        return self.done >= self.arrival.prompt + max(self.arrival.output - 1, 0)


def serve(arrivals: list[Arrival], law: Law, gap_s: float = 0.0006) -> Run:
    """Serve all of them; decode goes first, then prompts in chunks, first come first served."""
    gpu, queue, seats = Gpu(law), list(enumerate(arrivals))[::-1], list[_Seat]()
    steps: list[tuple[float, float, float]] = []
    batches: list[Batch] = []
    truth: dict[int, float] = defaultdict(float)
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    while queue or seats:
        while queue and len(seats) < SEATS and queue[-1][1].at_s <= gpu.now_s:
            seats.append(_Seat(*queue.pop()))
        if not seats:
            gpu.idle(queue[-1][1].at_s)
            continue
        chosen, batch = _batch(seats)
        start, end, energy, busy = gpu.run(batch)
        steps.append((start, end, busy))
        batches.append(batch)
        for seat, count, joules in zip(chosen, batch.tokens, energy, strict=True):
            seat.done += int(count)
            truth[seat.number] += float(joules)
            first.setdefault(seat.number, start)
            last[seat.number] = end
        seats = [seat for seat in seats if not seat.ended]
        gpu.idle(gpu.now_s + gap_s)
    gpu.idle(gpu.now_s + 3)
    life = {number: last[number] - first[number] for number in truth}
    starts, ends, busy_s = np.array(steps).T
    curve = np.array(gpu.ends_s), np.array(gpu.joules)
    return Run(starts, ends, busy_s, batches, *curve, dict(truth), life)


def _batch(seats: list[_Seat]) -> tuple[list[_Seat], Batch]:
    room = BUDGET
    chosen: list[tuple[_Seat, int, bool]] = []
    for seat in sorted(seats, key=lambda one: not one.decode):
        count = 1 if seat.decode else min(seat.arrival.prompt - seat.done, room)
        if count and room >= count:
            chosen.append((seat, count, seat.decode))
            room -= count
    batch = Batch(
        np.array([seat.number for seat, _, _ in chosen], dtype=np.int64),
        np.array([float(count) for _, count, _ in chosen]),
        np.array([float(seat.done) for seat, _, _ in chosen]),
        np.array([decode for _, _, decode in chosen]),
    )
    return [seat for seat, _, _ in chosen], batch


def counter(run: Run, seed: int) -> list[tuple[int, float | None, float | None]]:
    """Readings at 10 Hz, with jitter, of a counter that ticks every 100 ms."""
    random = np.random.default_rng(seed)
    at = _polls(run, random)
    ticks = np.floor((at - 0.037) / 0.1) * 0.1 + 0.037
    values = np.interp(ticks, run.curve_s, run.curve_j) * 1000
    return [
        (int(t * 1e9), float(round(v)), None) for t, v in zip(at, values, strict=True) if t > 0.2
    ]


def sensor(run: Run, seed: int) -> list[tuple[int, float | None, float | None]]:
    """Readings at 10 Hz of power that is looked at for 25 ms in 100, with 3 % of noise."""
    random = np.random.default_rng(seed)
    at = _polls(run, random)
    end = np.floor((at - 0.037) / 0.1) * 0.1 + 0.037
    joules = [np.interp(moment, run.curve_s, run.curve_j) for moment in (end - 0.025, end)]
    watts = (joules[1] - joules[0]) / 0.025 * (1 + 0.03 * random.standard_normal(len(at)))
    return [
        (int(t * 1e9), None, float(max(w, 0)) * 1000)
        for t, w in zip(at, watts, strict=True)
        if t > 0.2
    ]


def _polls(run: Run, random: np.random.Generator) -> Floats:
    even = np.arange(0.1, run.curve_s[-1], 0.1)
    return even + random.uniform(0, 0.01, len(even))
