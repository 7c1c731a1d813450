"""Times rounds of the NVML source over fake GPUs: our code and pynvml, without a driver behind."""

import math
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from benchmarks import report
from otel_llm.clock import Clock
from otel_llm.devices.fake_nvml import FakeNvml, build
from otel_llm.devices.nvml import NvmlSource
from otel_llm.devices.nvml.readings import Group
from otel_llm.devices.sampler import Sampler

DEVICES = 8
HZ = 10
"""Rounds per second."""
FULL_HZ = 1
"""Of these, how many read everything."""
ROUNDS = 300
REPEATS = 9
SAMPLED, SAMPLED_S = 3, 10.0
"""How often the whole sampler is looked at, and for how many seconds."""
_SLOW = ("ecc", "processes")
_OPENING = ("nvmlDeviceGetNvLinkState",)
"""Asked for when a device is opened; these have no links."""
_VALUES = {
    "name": "NVIDIA H100 80GB HBM3", "limit_watts": 700, "memory_total": 85_899_345_920,
    "memory_used": 1_000_000, "watts": 500, "watts_average": 501, "utilization": 90,
    "memory_utilization": 60, "sm_mhz": 1980, "memory_mhz": 2619, "temperature": 60, "throttle": 0,
    "pcie_rx_bytes": 0, "pcie_tx_bytes": 0, "nvlink_rx_kib": 0, "nvlink_tx_kib": 0,
    "ecc_corrected": 0, "ecc_uncorrected": 0, "remapped_corrected": 0, "remapped_uncorrected": 0,
    "remapped_pending": 0, "remapped_failure": 0, "recovery_action": 0, "gpm": 1,
    "sm_active": 50, "sm_occupancy": 30, "tensor_active": 25, "dram_active": 60,
    "processes": "41,1000,30;42,2000,5",
}  # fmt: skip


def groups() -> tuple[Group, ...]:
    """All groups of readings."""
    return get_args(Group)


@contextmanager
def node() -> Iterator[FakeNvml]:
    """Eight H100 that answer at once.

    Raises:
        RuntimeError: there is no C compiler.
    """
    with TemporaryDirectory() as directory:
        fake = FakeNvml(build(Path(directory)), Path(directory))
        lines = ["0 - driver 580.95.05", "0 - cuda 13000"]
        for device in range(DEVICES):
            told = {"uuid": f"GPU-{device}", "pci": f"00000000:0{device}:00.0"} | _VALUES
            lines += [f"0 {device} {key} {value}" for key, value in told.items()]
        fake.play(lines)
        fake.use()
        try:
            yield fake
        finally:
            fake.close()


def round_us(fake: FakeNvml, chosen: Collection[Group], *, full: bool, slow: bool) -> list[float]:
    """CPU time of one round over all devices, in microseconds, one figure per repeat.

    Args:
        fake: the node; its time moves on by one round with each.
        chosen: groups to read.
        full: all of them, not energy and power alone.
        slow: the slow ones too in each full round; else in none but the first.
    """
    source = NvmlSource(Clock(), chosen, 1e-9 if slow else 86_400.0)
    fake.at(0.5)
    if not source.open():
        raise RuntimeError("; ".join(source.problems))
    try:
        source.read(full=full)
        # The node's time never goes back: counters and GPM would not stand it.
        taken = [_repeat(fake, source, each * ROUNDS, full=full) for each in range(REPEATS)]
        _check(source)
    finally:
        source.close()
    return taken


def _repeat(fake: FakeNvml, source: NvmlSource, done: int, *, full: bool) -> float:
    spent = 0
    for number in range(done, done + ROUNDS):
        fake.at(1 + number / HZ)
        began = time.thread_time_ns()
        reading = source.read(full=full)
        spent += time.thread_time_ns() - began
        if len(reading.samples) != DEVICES or reading.events:
            message = f"{len(reading.samples)} of {DEVICES} devices answered: {reading.events}"
            raise RuntimeError(message)
    return spent / ROUNDS / 1000


def _check(source: NvmlSource) -> None:
    """A call that is refused is not made again, and would make the round look cheap."""
    refused = [
        name
        for name, cost in source.calls.items()
        if (cost.failed or cost.unsupported) and name not in _OPENING
    ]
    if refused:
        message = f"not every call was answered: {', '.join(refused)}"
        raise RuntimeError(message)


def sampled(fake: FakeNvml, seconds: float) -> float:
    """Percent of a core that the sampler's reading thread takes, its waking up included.

    Args:
        fake: the node; its time runs as ours does.
        seconds: how long to look.
    """
    source = NvmlSource(Clock(), groups())
    sampler = Sampler([source], Clock(), 1 / HZ, 1 / FULL_HZ)
    before, began = set(threading.enumerate()), time.monotonic()
    fake.at(0.5)
    sampler.start()
    reads, _ = (each for each in threading.enumerate() if each not in before)
    spent = time.pthread_getcpuclockid(reads.ident or 0)
    samples, first = 0, 0.0
    while (now := time.monotonic() - began) < seconds + 1:
        fake.at(1 + now)
        samples += len(sampler.take().samples)
        if now < 1:  # opening the devices is no part of it
            samples, first, since = 0, time.clock_gettime(spent), now
        time.sleep(0.02)
    share = (time.clock_gettime(spent) - first) / (time.monotonic() - began - since)
    sampler.stop(5.0)
    if samples < 0.8 * seconds * HZ * DEVICES:
        message = f"{samples} samples in {seconds} s"
        raise RuntimeError(message)
    return share * 100


def core_share(quick_us: float, full_us: float, slow_us: float, slow_s: float = 10.0) -> float:
    """Share of a core at the default cadences, in percent.

    Args:
        quick_us: a round of energy and power.
        full_us: a full round without the slow groups.
        slow_us: a full round with them.
        slow_s: how often that is, in seconds.
    """
    per_second = (HZ - FULL_HZ) * quick_us + (FULL_HZ - 1 / slow_s) * full_us + slow_us / slow_s
    return per_second / 1e6 * 100


def collect() -> dict[str, object]:
    """All figures, in the shape of `devices.json` but for machine and versions."""
    with node() as fake:
        every = groups()
        quick = round_us(fake, every, full=False, slow=False)
        full = round_us(fake, every, full=True, slow=False)
        whole = round_us(fake, every, full=True, slow=True)
        thread = [sampled(fake, SAMPLED_S) for _ in range(SAMPLED)]
        alone = {group: round_us(fake, [group], full=True, slow=group in _SLOW) for group in every}
    spread = {name: report.spread(each, 1) for name, each in
              {"quick": quick, "full": full, "full with slow": whole, **alone}.items()}  # fmt: skip
    medians = {name: each["median"] for name, each in spread.items()}
    return {
        "devices": DEVICES,
        "hz": HZ,
        "quick_round_us": medians["quick"],
        "full_round_us": medians["full"],
        "slow_round_us": medians["full with slow"],
        "core_percent": _digits(
            core_share(medians["quick"], medians["full"], medians["full with slow"])
        ),
        "core_percent_all_full": _digits(medians["full"] * HZ / 1e6 * 100),
        "sampler_thread_percent": report.spread(thread, 3),
        "group_us": {group: medians[group] for group in every},
        "spread": spread,
    }


def _digits(percent: float) -> float:
    return round(percent, 3) if math.isfinite(percent) else percent
