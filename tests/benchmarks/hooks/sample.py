"""Figures as vLLM's Python would hand them over, with silly numbers that tell rows apart."""

from typing import Any

from benchmarks.hooks import figures

SIZES = ("1", "16", "64", "256")
KINDS = (
    "steady",
    "difference",
    "alone",
    "sync",
    "arriving",
    "drafts",
    "passing",
    "least",
    "writing",
)


def vllm() -> dict[str, Any]:
    """Each kind has its own hundreds, each size its own tens; rounds differ by one."""
    rounds = {
        f"{kind}-{size}": [100.0 * (k + 1) + 10 * s + offset for offset in range(-3, 4)]
        for k, kind in enumerate(KINDS)
        for s, size in enumerate(SIZES)
    }
    ratios = [1.0 + n / 100 for n in range(12)]
    return {
        "quiet": rounds,
        "every": rounds,
        "by_hook_us": {size: {"Scheduler.schedule": 7.123} for size in SIZES},
        "bytes_per_step": {size: 90.5 + place for place, size in enumerate(SIZES)},
        "engine": {
            size: {
                "steps": 9,
                "step_ms": 5.0,
                "hooks_us": 11.0 + place,
                "share": 0.002 + place,
                "floor_us": {
                    n: place + d for n, d in (("passing", 1.5), ("least", 7.5), ("writing", 9))
                },
            }
            for place, size in enumerate(SIZES)
        },
        "throughput": {
            "ratio": {"rounds": 12, "median": 0.9912, "low95": 0.9811, "high95": 1.0023},
            "tokens_per_s": [1000 * one for one in ratios],
            "tokens_per_s_without": [1000.0] * 12,
        },
        "versions": {"python": "3.11.1", "vllm": "0.32.0", "torch": "2.1", "msgspec": "0.2"},
    }


def recorded() -> figures.Recorded:
    """The recorder's part."""
    names = [f"{kind}-{n}" for kind in ("recorder", "recorder with lists", "recorder off")
             for n in SIZES]  # fmt: skip
    names += ["recorder request", "import", "import msgspec"]
    rounds = {name: [float(place), place + 0.5, place + 1.0] for place, name in enumerate(names)}
    return figures.Recorded(rounds, rounds, dict.fromkeys(SIZES, 77.0))
