"""Which rows each stage asks for, the most valuable first, and what a stage's rows amount to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gpuprobe.copies import FRAMEWORK, Copy
from gpuprobe.results import Json
from gpuprobe.rows import Question

_DRY_NEEDS_S = 1.0


class Setting(NamedTuple):
    """What the rows of a run share."""

    copies: list[Copy]
    idle_copies: list[Copy]
    shim: Path | None
    torch: bool
    dry: bool
    budget_s: float
    environment: dict[str, str]
    machine: dict[str, Any]
    fixture: Path

    def question(
        self, name: str, scenario: str, copy: Copy | None = None, **more: Json
    ) -> Question:
        """A row with the shared parts filled in; `more` takes Question's and the row's own."""
        limits = {key: more.pop(key) for key in ("needs_s", "limit_s") if key in more}
        if self.dry:
            limits["needs_s"] = _DRY_NEEDS_S
        environment = {**self.environment, **more.pop("environment", {})}
        spec: dict[str, Any] = {
            "shim": str(self.shim) if self.shim else None,
            "dry": self.dry,
            **more,
        }
        if copy:
            spec["copy"] = {"label": copy.label, "path": str(copy.path)}
            name = f"{name} [{copy.label}]"
        return Question(name, scenario, spec, environment=environment, **limits)

    def framework(self) -> str:
        """The kind of work that stands for an engine here."""
        return "torch" if self.torch and not self.dry else "driver"


_DRIVER_ROWS = (
    "version", "both", "late", "windows", "callbacks", "subscribers", "new_api", "activity",
    "graph_trace", "api_records", "other_kinds", "leave_attached",
)  # fmt: skip


def modes(setting: Setting) -> Iterator[Question]:
    """Stage 1. The core with every copy, then how to load it beside PyTorch, then the rest."""
    core, rest = _DRIVER_ROWS[:4], _DRIVER_ROWS[4:]
    for copy in setting.idle_copies:
        yield setting.question("version", "version", copy)
    for scenario in core:
        for copy in setting.copies:
            yield setting.question(scenario, scenario, copy, normal_exit=False)
    yield from _beside_torch(setting)
    for scenario in rest:
        for copy in setting.copies:
            yield setting.question(
                scenario, scenario, copy, normal_exit=scenario == "leave_attached"
            )
    for copy in setting.copies:
        yield from _injected(setting, copy)
    seconds = 0.1 if setting.dry else 12
    for copy in setting.copies:
        yield setting.question(
            "soak, pool 8", "soak", copy, pool=8, seconds=seconds, needs_s=20, limit_s=40
        )
    for copy in setting.copies[:2]:
        if setting.budget_s > 300 and not setting.dry:
            yield setting.question(
                "soak, default pool", "soak", copy, seconds=45, needs_s=58, limit_s=80
            )
    # The same core question without the shim: is the C part itself at fault where a row failed?
    for copy in setting.copies[:1]:
        plain = setting._replace(shim=None)
        yield plain.question("both, through ctypes", "both", copy)


def _beside_torch(setting: Setting) -> Iterator[Question]:
    """In a process that has PyTorch: its own copy, then each other copy loaded in three ways."""
    if setting.framework() != "torch":
        return
    # The first import of PyTorch reads gigabytes from a cold disk.
    limits = {"work": "torch", "needs_s": 25, "limit_s": 120}
    ask = setting.question
    for copy in (c for c in setting.copies if c.label.startswith(FRAMEWORK)):
        own = {"load": "in_process", **limits}
        yield ask("both, PyTorch's own copy", "both", copy, **own)
        yield ask("callbacks under PyTorch", "callbacks", copy, **own)
        yield ask("PyTorch's profiler afterwards", "profiler_after", copy, **own)
    for copy in (c for c in setting.copies if not c.label.startswith(FRAMEWORK)):
        preload = {"LD_PRELOAD": str(copy.path)}
        yield ask("both, loaded before PyTorch", "both", copy, load="global_first", **limits)
        yield ask("both, LD_PRELOAD", "both", copy, environment=preload, **limits)
        yield ask("both, second copy after PyTorch's", "both", copy, load="own", **limits)


def _injected(setting: Setting, copy: Copy) -> Iterator[Question]:
    if not setting.shim:
        return
    variables = {"CUDA_INJECTION64_PATH": str(setting.shim), "OTEL_LLM_PROBE_CUPTI": str(copy.path)}
    yield setting.question("injected", "injected", copy, environment=variables)


_PROCESS_MODES = ("nothing", "both", "callbacks", "activity", "graph trace")


def cost(setting: Setting) -> Iterator[Question]:
    """Stage 2. The alternating decode loop first, then processes that trace from the start."""
    work = setting.framework()
    scale = 0.01 if setting.dry else min(1.0, setting.budget_s / 460)
    small: dict[str, Any] = {
        "work": work,
        "size": "small",
        "block_s": 0.005 if setting.dry else 0.15,
    }
    if setting.dry:
        small["kernels"] = 20
    seconds = 50 * scale
    for copy in setting.copies[:2]:
        load = {"load": "in_process"} if copy == setting.copies[0] else {"load": "global_first"}
        timing = {"seconds": seconds, "needs_s": seconds * 0.5 + 25, "limit_s": seconds + 60}
        yield setting.question(
            "decode, modes alternating", "cost_alternating", copy, **small, **load, **timing
        )
        yield setting.question("launches in C", "cost_launches", copy, needs_s=12, limit_s=60)
    turns = {"seconds": max(6 * scale, 0.05), "needs_s": 20}
    for turn in (1,) if setting.dry else (1, 2, 3):
        for mode in _PROCESS_MODES:
            yield _process(setting, mode, turn, {**small, **turns})
        for copy in setting.copies[1:2]:
            for mode in ("both", "graph trace"):
                yield _process(setting, mode, turn, {**small, **turns}, copy)
        if turn == 1 and scale > 0.3:
            yield from _large(setting, small, seconds)


def _large(setting: Setting, small: dict[str, Any], seconds: float) -> Iterator[Question]:
    spec = {**small, "size": "large", "kernels": 900, "load": "in_process", "seconds": seconds}
    limits = {"needs_s": seconds * 0.5 + 35, "limit_s": seconds + 70}
    for copy in setting.copies[:1]:
        yield setting.question(
            "decode 8B, modes alternating", "cost_alternating", copy, **spec, **limits
        )


def _process(
    setting: Setting, mode: str, turn: int, spec: dict[str, Any], other: Copy | None = None
) -> Question:
    copy = other or (setting.copies[0] if setting.copies else None)
    load = "global_first" if other else "in_process"
    name = f"decode, own process, {mode}, turn {turn}"
    limit = spec["seconds"] + 60
    return setting.question(name, "cost_process", copy, mode=mode, load=load, **spec, limit_s=limit)


def nvml(setting: Setting) -> Iterator[Question]:
    """Stage 3. Idle and under load; then the response to a step of load."""
    scale = 0.015 if setting.dry else min(1.0, setting.budget_s / 90)
    watch, call, step = 20 * scale, 8 * scale, 12 * scale
    for load in (True, False):
        name = "under load" if load else "idle"
        extra = 25 if load else 5
        yield setting.question(
            f"update intervals, {name}",
            "nvml_updates",
            load=load,
            seconds=watch,
            limit_s=watch + extra,
        )
        yield setting.question(
            f"latencies, {name}", "nvml_calls", load=load, seconds=call, limit_s=call + extra
        )
    yield setting.question("response to load", "nvml_response", seconds=step, limit_s=step + 25)


def record(setting: Setting) -> Iterator[Question]:
    """Stage 4. The fixture, by PyTorch if possible, else without it; the first that works stays."""
    seconds = 0.3 if setting.dry else min(8.0, setting.budget_s / 8)
    timing = {"seconds": seconds, "needs_s": seconds + 10, "limit_s": seconds + 90}
    tries = (
        [("torch", "small"), ("driver", "")] if setting.framework() == "torch" else [("driver", "")]
    )
    for work, size in tries:
        for copy in setting.copies[:2]:
            load = "in_process" if copy == setting.copies[0] else "global_first"
            spec = {"work": work, "size": size, "load": load, "kernels": 20 if setting.dry else 300}
            shared = {"fixture": str(setting.fixture), "machine": setting.machine}
            if not setting.fixture.exists():
                yield setting.question(
                    f"record {work}", "record_fixture", copy, **spec, **shared, **timing
                )


_PICKED = ("complete", "fixture", "added_ns_per_launch", "callbacks_by_function", "skew")


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the rows say, by name: complete or not, ratios, intervals."""
    out: dict[str, Any] = {}
    for row in rows:
        if row["outcome"] != "ok":
            out[row["name"]] = f"{row['outcome']}: {row.get('detail', '')}"[:160]
            continue
        picked = {key: row[key] for key in _PICKED if key in row}
        for kind in ("eager", "graph"):
            found = row.get(kind, {}).get("modes")
            if found:
                picked[kind] = {mode: _short(values) for mode, values in found.items()}
        picked |= {
            key: v["interval_ms"].get("median") for key, v in row.items() if _has_interval(v)
        }
        out[row["name"]] = picked or "ok"
    return out


def _short(values: dict[str, Any]) -> dict[str, Any]:
    ratio = values.get("step_ratio_to_off", {})
    return {"step_us": values["step_us"]["median"], "cpu_us": values["cpu_us_per_step"], **ratio}


def _has_interval(value: Json) -> bool:
    return isinstance(value, dict) and isinstance(value.get("interval_ms"), dict)


class Stage(NamedTuple):
    """One stage: its rows, its share of a common budget, and what it does in words."""

    number: int
    title: str
    rows: Callable[[Setting], Iterator[Question]]
    share: float
    method: str


STAGES = (
    Stage(
        1,
        "which CUPTI works in which mode",
        modes,
        0.34,
        "One process per row. Kernels and graph replays of known number are run; the row says how "
        "many records and callbacks came, and whether each record carried the id of its launch.",
    ),
    Stage(
        2,
        "what tracing costs",
        cost,
        0.38,
        "Decode loop of random weights, tokens read back after each step. Modes alternate within a "
        "process in random order; ratios are between blocks of one round, median with 95 % bounds "
        "by order statistics. Separate processes trace from before CUDA starts. Launch cost is "
        "timed in C.",
    ),
    Stage(
        3,
        "how NVML behaves",
        nvml,
        0.1,
        "Each number is read without a pause and its changes are noted; latencies include about "
        "half a microsecond of ctypes.",
    ),
    Stage(
        4,
        "a recorded fixture",
        record,
        0.18,
        "Idle, eager decode, graph decode, idle, with kernels, steps, power and clock anchors.",
    ),
)
