"""From rounds to the figures of `hooks.json`."""

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from benchmarks import report
from benchmarks.gpu_probe.gpuprobe.stats import median_interval
from benchmarks.hooks.measure import BATCHES

GOAL_IMPORT_MS = 50
GOAL_SHARE = 0.005
GOAL_RATIO = 0.97
FLOORS = ("passing", "least", "writing")
"""Hooks that do less than ours; see `benchmarks.vllm_hooks.floor`."""
_SIZES = tuple(map(str, BATCHES))


class Recorded(NamedTuple):
    """What the recorder's own benchmark found.

    Attributes:
        quiet: quiet rounds, by name.
        every: all rounds, by name.
        bytes_per_step: by size of the batch.
    """

    quiet: dict[str, list[float]]
    every: dict[str, list[float]]
    bytes_per_step: dict[str, float]


def merged(ours: Recorded, vllm: dict[str, Any]) -> dict[str, Any]:
    """All figures.

    Args:
        ours: the recorder's.
        vllm: what `benchmarks.vllm_hooks.collect` returned.
    """
    quiet, every = ours.quiet | vllm["quiet"], ours.every | vllm["every"]

    def medians(kind: str) -> dict[str, float]:
        return {size: round(median(quiet[f"{kind}-{size}"]), 2) for size in _SIZES}

    return {
        "vllm_versions": vllm["versions"],
        "step_us": medians("steady"),
        "floor_us": {kind: medians(kind) for kind in FLOORS},
        "step_us_difference": {size: _interval(quiet[f"difference-{size}"]) for size in _SIZES},
        "step_us_alone": medians("alone"),
        "step_us_sync": medians("sync"),
        "step_us_arriving": medians("arriving"),
        "step_us_drafts": medians("drafts"),
        "step_us_by_hook": _rounded(vllm["by_hook_us"]),
        "bytes_per_step": _rounded(vllm["bytes_per_step"]),
        **_in_engine(vllm["engine"]),
        **_throughput(vllm["throughput"]),
        "recorder_step_us": medians("recorder"),
        "recorder_step_us_with_lists": medians("recorder with lists"),
        "recorder_step_us_disabled": medians("recorder off"),
        "recorder_request_us": round(median(quiet["recorder request"]), 2),
        "recorder_bytes_per_step": ours.bytes_per_step,
        "import_ms": round(median(quiet["import"]), 2),
        "import_msgspec_ms": round(median(quiet["import msgspec"]), 2),
        "goal": {
            "step_us": {str(size): round(5 + 0.1 * size, 1) for size in BATCHES},
            "import_ms": GOAL_IMPORT_MS,
            "hook_share_of_10_ms": GOAL_SHARE,
            "vllm_throughput_ratio_low": GOAL_RATIO,
        },
        "spread": {name: report.spread(values) for name, values in quiet.items()},
        "spread_of_every_round": {name: report.spread(values) for name, values in every.items()},
    }


def _interval(values: Sequence[float]) -> dict[str, float]:
    """The median, and 95 % bounds of it."""
    low, high = median_interval(values)
    return {"median": round(median(values), 1), "low95": round(low, 1), "high95": round(high, 1)}


def _in_engine(engine: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Shares of a step of the engine that generates; the largest over the batches stands alone."""
    return {
        "hook_share_of_step": round(max(one["share"] for one in engine.values()), 6),
        "hook_share_of_10_ms": round(max(one["hooks_us"] for one in engine.values()) / 10_000, 6),
        "engine": _rounded(engine, 6),
    }


def _throughput(found: dict[str, Any]) -> dict[str, Any]:
    ratio = found["ratio"]
    return {
        "vllm_throughput_ratio": round(ratio["median"], 4),
        "vllm_throughput_ratio_low": round(ratio["low95"], 4),
        "vllm_throughput_ratio_high": round(ratio["high95"], 4),
        "vllm_throughput_pairs": ratio["rounds"],
        "vllm_tokens_per_s": report.spread(found["tokens_per_s"], 1),
        "vllm_tokens_per_s_without": report.spread(found["tokens_per_s_without"], 1),
    }


def _rounded(value: Any, digits: int = 2) -> Any:  # noqa: ANN401  numbers in dicts of any depth
    if isinstance(value, dict):
        return {key: _rounded(one, digits) for key, one in value.items()}
    return round(value, digits)
