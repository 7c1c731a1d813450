"""The recording of devices that comes with the demo, and how it is made.

It is made up: no GPU was at hand to record one. Two GPUs draw what a simple law says of a load that
rises and falls, with noise; the demo's load has no part in it. `python -m otel_llm.demo.recording`
writes the file anew; a test holds that it comes out the same.
"""

import importlib.resources
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

NAME = "devices.jsonl"
SECONDS = 60
PER_SECOND = 5
DEVICES = ("GPU-made-up-0", "GPU-made-up-1")
LIKE = "made-up GPU, like an NVIDIA H100 80GB HBM3"
"""Its name, so that data sheets tell what it could do."""
IDLE_W, BUSY_W = 72.0, 660.0
MEMORY_BYTES = 80 << 30
_NOTE = "made up, not recorded: two GPUs under a load that rises and falls"


def shipped() -> Path:
    """Where the file is."""
    return Path(str(importlib.resources.files("otel_llm.demo") / "data" / NAME))


def lines(seed: int = 1) -> Iterator[bytes]:
    """The file's lines."""
    rng = random.Random(seed)  # noqa: S311  a made-up load, not a secret
    header = {
        "note": _NOTE,
        "devices": [
            {
                "id": name, "name": LIKE, "memory_bytes": MEMORY_BYTES, "power_limit_mw": 700_000,
            }
            for name in DEVICES
        ],
    }  # fmt: skip
    yield msgspec.json.encode(header)
    joules, celsius = [0.0, 0.0], [38.0, 38.0]
    for tick in range(SECONDS * PER_SECOND + 1):
        for device in range(2):
            load = _load(tick / PER_SECOND, device)
            watts = IDLE_W + (BUSY_W - IDLE_W) * load * rng.uniform(0.96, 1.04)
            joules[device] += watts / PER_SECOND
            # Slow towards what these watts make of it in the end.
            celsius[device] += (34 + watts / 16 - celsius[device]) / (20 * PER_SECOND)
            sample = {
                "at_s": tick / PER_SECOND,
                "device": device,
                "energy_mj": round(joules[device] * 1000),
                "power_mw": round(watts * 1000),
                "gpu_utilization": round(100 * load),
                "memory_utilization": round(60 * load),
                "memory_used_bytes": round(MEMORY_BYTES * 0.9),
                "sm_clock_mhz": 1980 if load < 0.9 else 1755,
                "memory_clock_mhz": 2619,
                "temperature_c": round(celsius[device]),
                "throttle_reasons": 4 if load > 0.95 else 0,
            }
            yield msgspec.json.encode(sample)


def _load(at_s: float, device: int) -> float:
    """Share of the device that is busy: quiet ends, so that it can begin again."""
    wave = 0.5 + 0.5 * math.sin(2 * math.pi * (at_s / 17 + device / 4))
    return min(1.0, max(0.0, math.sin(math.pi * at_s / SECONDS) * (0.55 + 0.6 * wave)))


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else shipped()).write_bytes(b"\n".join(lines()) + b"\n")
