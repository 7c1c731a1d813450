"""From facts and readings to joules per request: the seam where a real agent can take its place."""

from typing import NamedTuple

import numpy as np

from benchmarks.energy import gpu
from benchmarks.energy.serve import Run
from otel_llm.energy.account import Account, Amount, LedgerRow
from otel_llm.energy.attribution import Steps, covered_ns, share_out, weigh
from otel_llm.energy.calibration import Observed, fit
from otel_llm.energy.idle import IdlePower
from otel_llm.energy.meter import Meter, Window
from otel_llm.energy.models import Members, Sharing, Work, shapley, tokens, work
from otel_llm.energy.rounding import Floats
from otel_llm.energy.shape import DevicePeak
from otel_llm.facts.shape import ServedShape

SHAPE = ServedShape(
    gpu.LAYERS, gpu.HIDDEN, gpu.HEADS, gpu.KV_HEADS, gpu.HEAD_DIM, gpu.FFN, gpu.VOCAB
)
Readings = list[tuple[int, float | None, float | None]]


class Answer(NamedTuple):
    """What a pipeline says of a run: amounts of requests, and the ledger."""

    amounts: list[Amount]
    ledger: list[LedgerRow]


def members(run: Run) -> Members:
    """The batches as flat arrays."""
    counts = np.array([len(batch.tokens) for batch in run.batches])
    return Members(
        np.cumsum(counts) - counts,
        np.concatenate([batch.tokens for batch in run.batches]).astype(np.int64),
        np.concatenate([batch.context for batch in run.batches]).astype(np.int64),
    )


def windows(readings: Readings) -> list[Window]:
    """Metered."""
    meter = Meter()
    return [window for reading in readings for window in meter.add(*reading)]


def answer(run: Run, readings: Readings, sharing: Sharing, peak: DevicePeak) -> Answer:
    """Joules per request by one model."""
    flat = members(run)
    done = work(flat, SHAPE, peak)
    share = done.shares
    if sharing == "tokens":
        share = tokens(flat)
    elif sharing == "shapley":
        share = shapley(flat, SHAPE, peak, orders=16)
    busy = run.busy_s if sharing == "tokens" else power_weight(run.busy_s, done, peak)
    account, idle, ledger = Account(sharing), IdlePower(), []
    request = np.concatenate([batch.request for batch in run.batches])
    decode = np.concatenate([batch.decode for batch in run.batches])
    start, end = (run.starts_s * 1e9).astype(np.int64), (run.ends_s * 1e9).astype(np.int64)
    for window in windows(readings):
        low = int(np.searchsorted(end, window.start_ns))
        high = int(np.searchsorted(start, window.end_ns))
        ends = [*flat.first.tolist(), len(request)]
        inner = slice(ends[low], ends[high])
        chosen = slice(low, high)
        steps = Steps(
            start[chosen], end[chosen], busy[chosen], np.ones(high - low, dtype=np.bool_),
            flat.counts[chosen], request[inner], decode[inner], share[inner],
        )  # fmt: skip
        loads = weigh(window.start_ns, window.end_ns, steps)
        idle.add(window, window.end_ns - window.start_ns - covered_ns(window, loads))
        row, _ = account.add(share_out(window, loads, idle_power_mw=idle.mw))
        ledger.append(row)
    return Answer(account.settle(np.array(list(run.truth_j))), ledger)


def power_weight(busy_s: Floats, done: Work, peak: DevicePeak) -> Floats:
    """Busy time of steps times the power they should draw, in joules."""
    dynamic = done.flops * peak.pj_per_flop + done.bytes * peak.pj_per_byte
    return peak.static_w * busy_s + dynamic * 1e-12


def calibrated(runs: list[tuple[Run, Readings]], guess: DevicePeak) -> DevicePeak:
    """Coefficients from runs that are not judged."""
    rows: list[tuple[float, float, float, float]] = []
    steps: list[Floats] = []
    for run, readings in runs:
        done = work(members(run), SHAPE, guess)
        steps.append(np.stack([run.busy_s, done.flops, done.bytes]))
        middle = (run.starts_s + run.ends_s) / 2
        for window in windows(readings):
            mine = (middle >= window.start_ns / 1e9) & (middle < window.end_ns / 1e9)
            busy = float(run.busy_s[mine].sum())
            sums = float(done.flops[mine].sum()), float(done.bytes[mine].sum())
            if busy > 0.2 and not window.incomplete:
                rows.append((window.delta_mj / 1000, busy, *sums))
    table, flat = np.array(rows).T, np.concatenate(steps, axis=1)
    return fit(Observed(*table), *flat)
