"""Makes `agent.md` from the figures."""

from collections.abc import Iterable, Sequence
from typing import Any

METHOD = (
    "The load is fixed: 8 engines, each on a device of its own, 100 steps/s, batches of 256, 200 "
    "output tokens per request, 1 % of traces, kernels by class with each step. "
    "Attribution: shares of 204,800 members by `work`, their sums, and a window shared out, from "
    "arrays (`benchmarks/energy/speed.py`). All of energy: readings at 10 Hz and joined steps go "
    "through the agent's accounts (`otel_llm/agent/energy`), in five polls a second and one "
    "checkpoint; CPU time of that thread per second of load, the median second. "
    "The agent: the program `otel-llm agent` as a process, journals written by another at the pace "
    "of the load, devices that play a recording, both sinks answered at once by a third. CPU "
    "time from the sixth second of load until all is read, by seconds of load: what keeping up "
    "takes, without what is imported and made once; the median of the runs, and of that run by "
    "thread as the kernel tells it. Its page is asked for once a second from the "
    "load's end. Memory is the peak. At twice the load, what was lost when all was read. The "
    "machine has two cores, for the writer too and for whatever else ran on it; `s behind` says "
    "how long the agent still had to read. "
    "The floor: a program that follows the same load at the same pace "
    "(`benchmarks/agent/floor.py`). It reads frames and decodes records, makes the blocks that an "
    "agent made of such a second from Arrow columns that stand ready, has them in and out of the "
    "spool, posts them, and renders the agent's page every ten seconds. It joins, checks, counts, "
    "charges and remembers nothing: what an agent has to do besides comes on top. Its CPU time, "
    "and by part that of its one thread."
)


def render(result: dict[str, Any]) -> str:
    """The page's text."""
    machine, at_best = result["machine"], result["core_share_at_best_pace"]
    missed = "\n".join(f"- {line}" for line in result["missed"]) or "None."
    return f"""# What the node agent costs

`make bench-agent`, {result["taken"]}, on {machine["processor"]} ({machine["cores"]} cores),
Python {result["versions"]["python"]}.

{_goals(result)}

The floor is what reading, decoding, blocks, spool, sending and the page take a program that does
nothing else.

Missed goals:

{missed}

## The floor, by part

{_CPU}.

{_table(("part", "ms"), result["floor_parts_ms"].items())}

## Attribution, by part

{_CPU}.

{_attribution(result["attribution_parts_ms"])}

## The whole agent

{result["load_s"]:g} s of load, each time. The pace is what a fixed piece of work takes, tried once
a second meanwhile, in the middle: this machine's differs from moment to moment, and was
{result["best_pace_ms"]} ms at best. In proportion, the first {len(at_best)} runs would take
{at_best[0]:.2f}{"".join(f", {one:.2f}" for one in at_best[1:])} of a core at that pace.

{_runs(result["runs"])}

## The whole agent, by thread

{_CPU}, at {result["runs"][0]["steps_per_s"]} steps/s.

{_table(("thread", "ms"), _code(result["threads_ms"].items()))}

## Where its loop's time goes

The same work in one process under a profiler, which makes it slower; own time per second of load.

{_table(("function", "ms"), _code((one["where"], one["ms_per_s"]) for one in result["profile"]))}

## Method

{result["method"]}
"""


_CPU = "Milliseconds of CPU time per second of load"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, *rows]
    told = [f"| {' | '.join(map(str, line))} |" for line in lines]
    return "\n".join([told[0], "|---" * len(head) + "|", *told[1:]])


def _code(rows: Iterable[tuple[str, object]]) -> list[tuple[str, object]]:
    return [(f"`{name}`", value) for name, value in rows]


def _goals(result: dict[str, Any]) -> str:
    return f"""| figure | goal | value | floor |
|---|---|---|---|
| the whole agent, of a core | 0.25 | {result["agent_core_share"]:.2f} \
| {result["floor_core_share"]:.2f} |
| attribution: shares of members, their sums and windows, CPU time per second of load \
| 10 ms | {result["attribution_ms_per_s"]} ms | |
| all of energy: the same, arrays from batches, and a thousand requests that end \
| | {result["energy_ms_per_s"]} ms | |
| its memory | 400 MB | {result["agent_rss_mb"]:.0f} MB | |
| lost at twice the load | 0 | {result["lost_at_twice"]} | |"""


def _attribution(parts: dict[str, dict[str, float]]) -> str:
    kinds = ("median", "min", "max")
    return _table(
        ("part", *kinds),
        [(name, *(one[kind] for kind in kinds)) for name, one in parts.items()],
    )


def _runs(runs: list[dict[str, Any]]) -> str:
    head = (
        "steps/s",
        "of a core",
        "MB",
        "lost",
        "s behind at the end",
        "requests",
        "windows",
        "pace, ms",
    )
    return _table(
        head,
        [
            (one["steps_per_s"], f"{one['core_share']:.2f}", f"{one['rss_mb']:.0f}", one["lost"],
             f"{one['behind_s']:.1f}", one["requests"], one["windows"], one["pace_ms"])
            for one in runs
        ],
    )  # fmt: skip
