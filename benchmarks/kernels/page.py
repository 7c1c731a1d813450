"""The readable page of `kernels.json`."""

from collections.abc import Iterator
from typing import Any

METHOD = (
    "Over the fake libcupti, which replays a real recording, in one process. Shim: 192 buffers of"
    " 1 MiB, decoded in turn by the same function that CUPTI calls, so that none is in the "
    "processor's caches when its turn comes; CPU time of the thread, with adding up, checksums "
    "and writing to the ring in /dev/shm. 600 kernels a step. Floors: the words of the same "
    "buffers added up, and for each record a row of 32 bytes copied to a file like the ring: what"
    " memory allows for work that does nothing else. Reader: a full ring of 64 MiB, read with "
    "pread, checked, the durations summed as arrays. Hook: what vLLM's workers get, around a "
    "model that does nothing, both calls of a step, less the same calls without hooks; with "
    "events that do nothing, it is our own part of timing by events, their record included. "
    "Launch callback: by the clock, one reading of it included. Join: the same ring, from frames "
    "to facts of steps and of ten seconds. Rows: single kernels of steps of 1,000 from arrays "
    "into the embedded ClickHouse, encoded and stored; per core by CPU time of the whole process,"
    " merges that run meanwhile too."
)
OWED = (
    "Not measured, for want of a GPU: what CUPTI itself costs (instrumented kernels, its own "
    "callbacks and buffers), its function cuptiActivityGetNextRecord, what real CUDA events cost, "
    "the time between CUPTI's clock and ours, and throughput of a model: "
    "off, dormant, callbacks only, sums, all."
)
_SHIM = {
    "eager_full": "ns per record, one launch each, all raw",
    "eager_aggregates": "ns per record, one launch each, no raw rows",
    "graph_full": "ns per record, graphs of 300, all raw",
    "graph_aggregates": "ns per record, graphs of 300, no raw rows",
    "cached_full": "ns per record, all raw, from one buffer that stays in the caches",
    "plain_read": "floor without raw rows: ns per record of a plain read",
    "plain_copy": "floor with raw rows: ns per record of a plain read and a copied row",
}
_MOST_NS, _MOST_US, _LEAST_READ = 20, 5, 5_000_000


def render(result: dict[str, Any]) -> str:
    """The page."""
    machine = result["machine"]
    return "\n".join(
        [
            "# Kernels: shim, ring, reader",
            "",
            f"{machine['processor']}, {machine['cores']} cores, {result['taken']}.",
            "",
            "| what | median | lowest | highest | goal |",
            "|---|---|---|---|---|",
            *_lines(result),
            "",
            result["method"],
            "",
            result["owed"],
            "",
        ]
    )


def _lines(result: dict[str, Any]) -> Iterator[str]:
    for name, label in _SHIM.items():
        one = result["shim_ns"][name]
        yield _line(f"shim: {label}", one, "" if "plain" in name else _most(one, _MOST_NS))
    read = result["reader_records_per_core"]
    met = "met" if read["median"] >= _LEAST_READ else "missed"
    yield _line("reader: raw rows per core-second", read, f"{_LEAST_READ:,} or more: {met}")
    for key, label in (
        ("hook_us", "hook: us per step, all of it"),
        ("event_hook_us", "hook with the event timer: us per step"),
    ):
        yield _line(label, result[key], _most(result[key], _MOST_US))
    yield _line("of that the record of its time: us", result["event_record_us"])
    yield _line("one `set_step`: us", result["set_step_us"])
    yield _line("join: kernels per core-second", result["joined_per_core_s"])
    yield _line("rows into ClickHouse: per second", result["rows"]["rows_per_s"])
    yield _line("rows into ClickHouse: per core-second", result["rows"]["rows_per_core_s"])
    yield f"| launch callback: ns, by the shim's own sampling | {result['callback_ns']} | | | |"


def _most(spread: dict[str, float], goal: int) -> str:
    return f"{goal} or less: {'met' if spread['median'] <= goal else 'missed'}"


def _line(label: str, spread: dict[str, float], goal: str = "") -> str:
    told = " | ".join(_told(spread[each]) for each in ("median", "min", "max"))
    return f"| {label} | {told} | {goal} |"


def _told(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure}"
