"""Rows of energy for the sample's requests, with numbers that are easy to add up."""

from typing import Any

from tests.query.sample import BASE_NS, trace_id

Row = dict[str, Any]


def at(ms: float) -> str:
    """A moment of the sample, as ClickHouse reads it."""
    seconds, rest = divmod(BASE_NS + round(ms * 1_000_000), 1_000_000_000)
    return f"{seconds}.{rest:09d}"


def amount(
    instance: str, index: int, finished: float, prefill: int, decode: int, **more: object
) -> Row:  # fmt: skip
    """An amount of a request, with 10 % of doubt and twice its millijoules in device time."""
    return {
        "instance_id": instance, "service": "svc", "host": "node", "engine": "reference",
        "engine_version": "1", "model": "tiny", "dp_rank": 0, "request_index": index,
        "request_id": f"r{index}", "trace_id": trace_id("none"), "tenant": "acme", "tier": "",
        "outcome": "finished", "finished": at(finished), "device": "GPU-a",
        "energy_mj": prefill + decode, "prefill_mj": prefill, "decode_mj": decode,
        "error_mj": (prefill + decode) // 10, "method": "counter", "sharing": "work",
        "scope": "all", "incomplete": False, "boot_id": "boot", "source": "nvml",
        "busy": "step_time", "device_ns": (prefill + decode) * 2_000_000,
    } | more  # fmt: skip


def line(start: float, attributed: int, idle: int, unattributed: int, **more: Any) -> Row:  # noqa: ANN401
    """A line of the ledger: a window of one second."""
    return {
        "host": "node", "device": "GPU-a", "mig": "", "started": at(start),
        "ended": at(start + 1000), "delta_mj": attributed + idle + unattributed,
        "attributed_mj": attributed, "idle_mj": idle, "unattributed_mj": unattributed,
        "method": "counter", "sharing": "work", "error_mj": 5, "instances": ["i1"],
        "incomplete": False, "boot_id": "boot", "source": "nvml", "busy": "step_time",
    } | more  # fmt: skip
