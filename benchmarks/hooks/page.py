"""Makes `hooks.md` from the figures."""

from typing import Any

from benchmarks.hooks import measure

METHOD = (
    f"Median of the quiet rounds, of about {measure.ROUND_NS // 1_000_000} ms each; rows take "
    "turns. A round is quiet if a fixed loop before and after it ran at most "
    f"{measure.QUIET - 1:.0%} slower than it ever did: a virtual processor that shares its core "
    "runs at half speed while its neighbour is busy. The table of spreads says how many rounds "
    f"were quiet; where fewer than {measure.FEWEST} were, all count. Time is CPU time: hooks never "
    "wait, and an import from cached files does not either. One journal of the default size on "
    "tmpfs, which wraps around during the run. A step is `step_scheduled` and `step_done`. "
    "`step_us` has the batch's arrays at hand; `step_us_with_lists` gathers them from request "
    "objects each time. Imports run in fresh interpreters that find their bytecode, as an "
    "installed package does."
)


def render(result: dict[str, Any]) -> str:
    """The page's text."""
    machine, versions = result["machine"], result["versions"]
    rows = "\n".join(_row(result, str(batch)) for batch in measure.BATCHES)
    spread = "\n".join(
        f"| {name} | {one['min']} | {one['q1']} | {one['median']} | {one['q3']} | {one['max']} "
        f"| {one['repeats']} | {result['spread_of_every_round'][name]['median']} |"
        for name, one in result["spread"].items()
    )
    return f"""# What the hooks cost

`make bench-hooks`, {result["taken"]}, on {machine["processor"]} ({machine["cores"]} cores, \
{machine["system"]}); Python {versions["python"]}, msgspec {versions["msgspec"]}, otel-llm \
{versions["otel-llm"]}.

| requests in the batch | all hooks of a step, us | goal, us | with list building, us | \
switched off, us | bytes per step |
|---|---|---|---|---|---|
{rows}

The other hooks of a request's whole life, from arrival to end: {result["request_us"]} us in all.

Importing what an engine imports: {result["import_ms"]} ms (goal: under \
{result["goal"]["import_ms"]} ms), of which msgspec alone takes {result["import_msgspec_ms"]} ms.

## Method

{result["method"]}

## Spread

Microseconds; milliseconds for imports.

| row | min | quartile | median | quartile | max | quiet rounds | median of every round |
|---|---|---|---|---|---|---|---|
{spread}
"""


def _row(result: dict[str, Any], batch: str) -> str:
    goal = result["goal"]["step_us"][batch]
    return (
        f"| {batch} | {result['step_us'][batch]} | {goal:.1f} "
        f"| {result['step_us_with_lists'][batch]} | {result['step_us_disabled'][batch]} "
        f"| {result['bytes_per_step'][batch]:.0f} |"
    )
