"""The simulated GPU beside the published table: fitted at one batch, it predicts the others."""

import csv
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.energy.gpu import HEAD_DIM, KV_HEADS, LAYERS, Law, dynamic_j, parts

FITTED = 64
_CONTEXT, _PROMPT = 400.0, 200.0


class Point(NamedTuple):
    """A batch size: joules per output token as published and as predicted."""

    batch: float
    published: float
    predicted: float

    @property
    def error(self) -> float:
        """Of the prediction, as a part of what was published."""
        return self.predicted / self.published - 1


def summary(found: list[Point]) -> dict[str, float]:
    """How well the other batch sizes are predicted: parts of what was published."""
    errors = [abs(one.error) for one in found if round(one.batch) != FITTED]
    return {
        "published_error_median": round(statistics.median(errors), 3),
        "published_error_max": round(max(errors), 3),
    }


def points(path: Path) -> list[Point]:
    """Llama 3.1 8B in chat on one H100, from the leaderboard's table."""
    with path.open(encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if "Llama-3.1-8B" in row["model"]
            and (row["task"], row["gpu"], row["num_gpus"]) == ("lm-arena-chat", "H100", "1")
            and row["precision"] == "bfloat16"
        ]
    at = next(row for row in rows if row["max_num_seqs"] == str(FITTED))
    law = _fitted(at)
    scale = float(at["J_per_token"]) / _steady(law, float(at["avg_batch"]), _output(at))[0]
    return [
        Point(
            float(row["avg_batch"]),
            float(row["J_per_token"]),
            scale * _steady(law, float(row["avg_batch"]), _output(row))[0],
        )
        for row in rows
    ]


def _output(row: dict[str, str]) -> float:
    return float(row["avg_out_len"])


def _fitted(row: dict[str, str]) -> Law:
    """Time per member such that the rate of tokens is the published one."""
    low, high = 0.0, 0.001
    for _ in range(50):
        middle = (low + high) / 2
        rate = _steady(Law(rest_per_member_s=middle), float(row["avg_batch"]), _output(row))[1]
        low, high = (middle, high) if rate > float(row["tok_per_s"]) else (low, middle)
    return Law(rest_per_member_s=low)


def _steady(law: Law, batch: float, output: float) -> tuple[float, float]:
    """Joules per token and tokens per second of a full batch, prompts coming as answers end."""
    prompt = batch * _PROMPT / output
    kv = batch * _CONTEXT * 2 * LAYERS * KV_HEADS * HEAD_DIM * 2
    clock = 1.0
    for _ in range(40):
        numbers = (batch + prompt, batch, prompt * _PROMPT / 2, kv)
        found = parts(law, clock, *(np.array([one]) for one in numbers))
        span = float(found.time_s[0])
        watts = 1.2 * law.idle_w + float(dynamic_j(law, clock, found)[0]) / span
        wanted = clock * min((law.limit_w / watts) ** 0.5, 1.1)
        clock += (min(max(wanted, 0.6), 1.0) - clock) / 2
    return watts * span / batch, batch / span
