"""Judges a pipeline: what it says of runs against what the simulated GPU knows."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.energy import pipeline, serve
from benchmarks.energy.gpu import Law
from benchmarks.energy.serve import Run
from otel_llm.energy.models import Sharing
from otel_llm.energy.shape import DevicePeak, device_peak

Pipeline = Callable[[Run, pipeline.Readings, Sharing, DevicePeak], pipeline.Answer]
SENSORS = {"counter": serve.counter, "sensor": serve.sensor}
MODELS: tuple[Sharing, ...] = ("tokens", "work", "shapley")
LONG_S = 2.0
GOALS = {
    "ledger_residual_max": 0.001,
    "work_error_median": 0.05,
    "work_error_p95": 0.15,
}

COVERED = 0.9
"""Part of the truths that stated bounds must hold."""


class Judged(NamedTuple):
    """Requests of one run by one sensor and model: shape (requests,) each.

    Attributes:
        error: of the joules told, as a part of the truth; with its sign.
        inside: whether the truth lies inside the stated bound.
        bound: stated, as a part of the energy told.
        long: whether the request lived for more than two windows.
    """

    error: np.typing.NDArray[np.float64]
    inside: np.typing.NDArray[np.bool_]
    bound: np.typing.NDArray[np.float64]
    long: np.typing.NDArray[np.bool_]


def collect(data: Path, told: Pipeline = pipeline.answer) -> dict[str, Any]:
    """All figures of the proof. `told` is what is judged; a real agent can be put in its place."""
    fitted, judged = _runs(data)
    guess = device_peak("H100")
    if guess is None:
        message = "devices.csv has lost the H100"
        raise LookupError(message)
    peak = pipeline.calibrated([(run, serve.counter(run, 1)) for run in fitted], guess)
    rows, residuals, drawn = [], [], []
    work: list[Judged] = []
    for trace, run in judged.items():
        for sensor, read in SENSORS.items():
            sheet = judge(run, told(run, read(run, 5), "work", guess))
            rows += list(_rows(trace, sensor, "work, by data sheet", sheet))
            for model in MODELS:
                answer = told(run, read(run, 5), model, peak)
                verdict = judge(run, answer)
                residuals.append(residual(answer))
                drawn.append(_drawn_error(run, answer))
                rows += list(_rows(trace, sensor, model, verdict))
                work += [verdict] if model == "work" else []
    long = np.concatenate([np.abs(one.error[one.long]) for one in work])
    inside = np.concatenate([one.inside for one in work])
    return {
        "ledger_residual_max": max(residuals),
        "work_error_median": round(float(np.median(long)), 4),
        "work_error_p95": round(float(np.percentile(long, 95)), 4),
        "bounds_coverage": round(float(inside.mean()), 4),
        "metered_error_max": round(max(drawn), 4),
        "coefficients": peak._asdict(),
        "rows": rows,
    }


def judge(run: Run, answer: pipeline.Answer) -> Judged:
    """Each request's amounts against its truth; one that the answer lacks counts as 0 J."""
    told = dict.fromkeys(run.truth_j, 0.0)
    bound = dict.fromkeys(run.truth_j, 0.0)
    for amount in answer.amounts:
        told[amount.request] += (amount.prefill_mj + amount.decode_mj) / 1000
        bound[amount.request] += amount.error_mj / 1000
    truth, mine, limit = (
        np.array([one[number] for number in run.truth_j]) for one in (run.truth_j, told, bound)
    )
    long = np.array([run.life_s[number] > LONG_S for number in run.truth_j])
    relative = limit / np.maximum(mine, 1e-9)
    return Judged(mine / truth - 1, np.abs(mine - truth) <= limit, relative, long)


def residual(answer: pipeline.Answer) -> float:
    """Largest part of a window, or of the whole run, that the ledger and requests disagree by."""
    by_window: Counter[int] = Counter()
    for one in answer.amounts:
        by_window.update(dict(zip(one.ended_ns, one.window_mj, strict=True)))
    parts = [
        max(
            abs(row.delta_mj - row.attributed_mj - row.idle_mj - row.unattributed_mj),
            abs(row.attributed_mj - by_window[row.ended_ns]),
        )
        / max(row.delta_mj, 1)
        for row in answer.ledger
    ]
    charged = sum(one.prefill_mj + one.decode_mj for one in answer.amounts)
    attributed = sum(row.attributed_mj for row in answer.ledger)
    return max(*parts, abs(attributed - charged) / max(attributed, 1))


def missed(result: dict[str, Any]) -> list[str]:
    """Goals that the figures do not reach."""
    over = [
        f"{name} is {result[name]}, allowed is {most}"
        for name, most in GOALS.items()
        if result[name] > most
    ]
    coverage = result["bounds_coverage"]
    over += [f"bounds_coverage is {coverage}, wanted is {COVERED}"] if coverage < COVERED else []
    return over + [problem for row in result["rows"] for problem in _missed_by(row, result["rows"])]


def _missed_by(row: dict[str, Any], rows: list[dict[str, Any]]) -> Iterator[str]:
    """Goals that one trace, sensor, model and duration does not reach: the whole may hide it."""
    names = ("trace", "sensor", "model")
    where = ", ".join(row[name] for name in (*names, "requests"))
    if row["inside"] < COVERED:
        yield f"{where}: {row['inside']} of truths are inside the bounds, wanted is {COVERED}"
    if row["requests"] == "short":
        longer = [one for one in rows if one["requests"] == "long"
                  and all(one[name] == row[name] for name in names)]  # fmt: skip
        if any(row["bound"] <= one["bound"] for one in longer):
            yield f"{where}: the bound is not wider than of long requests"
    elif row["model"] == "work":
        for figure, goal in (("median", "work_error_median"), ("p95", "work_error_p95")):
            if row[figure] > GOALS[goal]:
                yield f"{where}: {figure} is {row[figure]}, allowed is {GOALS[goal]}"


def _runs(data: Path) -> tuple[list[Run], dict[str, Run]]:
    """Runs to fit on, from the middle of the traces, and those to judge, from their beginning."""
    azure = serve.azure(data / "azure_llm_2023_conv.csv")
    mooncake = serve.mooncake(data / "mooncake_conversation.jsonl")
    law = Law()
    fitted = [
        serve.serve(serve.part(azure, 1800, 30, 1.6), law),
        serve.serve(serve.part(mooncake, 1800, 40, 0.35), law),
    ]
    judged = {
        "azure": serve.serve(serve.part(azure, 0, 120, 2.0), law),
        "mooncake": serve.serve(serve.part(mooncake, 0, 120, 0.4), law),
    }
    return fitted, judged


def _drawn_error(run: Run, answer: pipeline.Answer) -> float:
    """Of the energy of all windows, against the simulated GPU's own."""
    start, end = answer.ledger[0].started_ns / 1e9, answer.ledger[-1].ended_ns / 1e9
    true = float(np.interp(end, run.curve_s, run.curve_j) - np.interp(start, run.curve_s,
                                                                      run.curve_j))  # fmt: skip
    return abs(sum(row.delta_mj for row in answer.ledger) / 1000 / true - 1)


def _rows(trace: str, sensor: str, model: str, verdict: Judged) -> Iterator[dict[str, Any]]:
    for name, chosen in (("long", verdict.long), ("short", ~verdict.long)):
        size = np.abs(verdict.error[chosen])
        if not len(size):
            continue
        yield {
            "trace": trace,
            "sensor": sensor,
            "model": model,
            "requests": name,
            "count": len(size),
            "median": round(float(np.median(size)), 4),
            "p95": round(float(np.percentile(size, 95)), 4),
            "bias": round(float(np.mean(verdict.error[chosen])), 4),
            "inside": round(float(verdict.inside[chosen].mean()), 4),
            "bound": round(float(np.median(verdict.bound[chosen])), 4),
        }
