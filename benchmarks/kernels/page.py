"""The readable page of `kernels.json`."""

from typing import Any

METHOD = (
    "Over the fake libcupti, which replays a real recording, in one process. Shim: 192 buffers of "
    "1 MiB, decoded in turn by the same function that CUPTI calls, so that none is in the "
    "processor's caches when its turn comes; CPU time of the thread, with adding up, checksums and "
    "writing to the ring in /dev/shm. 600 kernels a step. Reader: a full ring of 64 MiB, read with "
    "pread, checked, the durations summed as arrays. Hook: `set_step` by ctypes alone, in a loop; "
    "an engine's worker hook will also have to find out the step's number."
)
OWED = (
    "Not measured, for want of a GPU: what CUPTI itself costs (instrumented kernels, its own "
    "callbacks and buffers), its function cuptiActivityGetNextRecord, and throughput of a model."
)


def render(result: dict[str, Any]) -> str:
    """The page."""
    machine, shim = result["machine"], result["shim_ns"]
    lines = [
        "# Kernels: shim, ring, reader",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {result['taken']}.",
        "",
        "| what | median | lowest | highest |",
        "|---|---|---|---|",
    ]
    labels = {
        "eager_full": "ns per record, one launch each, all raw",
        "eager_aggregates": "ns per record, one launch each, no raw rows",
        "graph_full": "ns per record, graphs of 300, all raw",
        "graph_aggregates": "ns per record, graphs of 300, no raw rows",
    }
    for name, label in labels.items():
        one = shim[name]
        lines.append(f"| shim: {label} | {one['median']} | {one['min']} | {one['max']} |")
    read, hook = result["reader_records_per_core"], result["hook_us"]
    lines += [
        f"| reader: raw rows per core-second | {read['median']:,.0f} | {read['min']:,.0f} "
        f"| {read['max']:,.0f} |",
        f"| hook: us per `set_step` | {hook['median']} | {hook['min']} | {hook['max']} |",
        f"| launch callback: ns, by the shim's own sampling | {result['callback_ns']} | | |",
        "",
        METHOD,
        "",
        OWED,
        "",
    ]
    return "\n".join(lines)
