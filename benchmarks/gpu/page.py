"""Makes `gpu.md`, also where nothing has been measured yet."""

from typing import Any

from benchmarks.gpu import stages

OWED = {
    "throughput_ratio": "throughput dormant, with callbacks alone, sums, by default and in full, "
    "to that of a process without the shim; eager and graphs, batches of 8 and 64, `make "
    "bench-gpu`",
    "kernel_coverage": "kernels by name and their durations beside torch.profiler's, and CUPTI's "
    "clock, `make test-gpu`",
    "soak": "a soak past 25 million records with eight device buffers: zero timestamps, losses, "
    "memory, `make bench-gpu STAGE=soak`",
    "devices": "NVML's values beside `nvidia-smi`'s, and the sampler's share of a core with a "
    "driver, `make test-gpu`",
}


def render(found: dict[str, Any]) -> str:
    """The page."""
    lines = ["# On a GPU", ""]
    if found.get("gpu"):  # the stages with an engine say which
        lines += [f"{_machine(found)}, {found['taken']}.", ""]
    elif not OWED.keys() & found.keys():
        lines += ["No GPU has been at hand: nothing on this page has been measured.", ""]
    lines += _measured(found)
    owed = [text for key, text in OWED.items() if key not in found]
    if owed:
        lines += ["## Owed", "", *(f"- {text}" for text in owed), ""]
    lines += [
        "The programs run without a GPU too, over the fake libcupti and the fake libnvidia-ml "
        "(`tests/benchmarks/gpu`); what they say then is of no GPU and is never kept here.",
        "",
    ]
    return "\n".join(lines)


def _machine(found: dict[str, Any]) -> str:
    return f"{found['gpu']}, driver {found['driver']}, CUPTI {found['cupti']}"


def _thinned(found: dict[str, Any], mode: str) -> int:
    return max(int(one[mode]["thinned"]) for one in found["throughput"].values())


def _measured(found: dict[str, Any]) -> list[str]:
    lines = []
    if "throughput_ratio" in found:
        lines += [
            "| mode | steps per second, to those without the shim | goal | thinned to level |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {ratio} | {stages.GOALS[name]} | {_thinned(found, name)} |"
            for name, ratio in found["throughput_ratio"].items()
        ]
        lines += [
            "",
            "The least of all batches, eager and graphs; medians of five rounds. What the budget "
            "thinned to at most: 1 an eighth of the single kernels, 2 none, 3 no names, 4 nothing.",
            "",
        ]
    for kind, one in found.get("against_profiler", {}).items():
        lines.append(
            f"- {kind}: {one['kernels']} kernels, coverage {one['coverage']:.5f}, the same counts "
            f"by name: {one['same_counts']}, median durations differ by "
            f"{one['median_duration_error']:.4f}"
        )
    if "clock" in found:
        clock = found["clock"]
        lines.append(
            f"- CUPTI's clock: at most {clock['furthest_ns']} ns from the wall's, in "
            f"{clock['readings']} readings"
        )
    if "soak" in found:
        one = found["soak"]
        lines.append(
            f"- soak: {one['launched']:,} kernels launched, {one['counters']['records']:,} "
            f"recorded, {one['counters']['zero_timestamps']:,} without times; memory grown by "
            f"{one['device_bytes_grown']:,} bytes on the device, {one['host_bytes_grown']:,} on "
            "the host"
        )
    if "devices" in found:
        lines.append(f"- sampler: {found['devices']['core_share'] * 100:.3f} % of a core")
    return [*lines, ""] if lines else []
