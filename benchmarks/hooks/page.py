"""Makes `hooks.md` from the figures."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from benchmarks import rounds
from benchmarks.hooks import measure
from benchmarks.hooks.figures import FLOORS

METHOD = f"""\
**On vLLM's own classes.** `AsyncScheduler`, `Scheduler`, `EngineCore`'s intake and \
`OutputProcessor` of the installed vLLM work as in a server, with scripted results in place of a \
model: all members decode one token per step, with step N+1 scheduled before the result of step \
N as on a GPU, unless a column says otherwise. A step's hooks are those of the engine core and \
of the API server together.

- *in place* (`step_us`): stopwatches around every hook and around vLLM's function inside it; \
their own time, measured at the same place without hooks, is taken off. Median of a round's \
steps.
- *as a difference* (`step_us_difference`): CPU time of the same steps of the same objects with \
hooks in, out, out, in. The median of rounds, and its 95 % bounds from order statistics \
(binomial, no distribution assumed). It has the noise of all of vLLM's own work in it.
- *alone* (`step_us_alone`): the hooks of one step over and over around functions that do \
nothing, less those functions: what they take when all they touch is in the processor's caches. \
Each result comes before the next step.
- *floor* (`floor_us`): hooks that do less than ours, timed in place like ours.

**In an engine that generates.** vLLM's `LLMEngine` with a tiny model on one thread; the engine \
core and what would be the API server take turns in one process, so both halves' hooks add to \
the step. Time in the hooks is taken in place as above; shares are medians over medians, the \
largest of the batches. Throughput is taken in pairs of runs on one engine, with and without \
hooks, the first of a pair turning: 32 requests at once, each of as many output tokens as the \
mean of the Azure trace of conversations has; the ratio is the median of the pairs' ratios, with \
95 % bounds from order statistics. A step of the model leaves little of the hooks in the \
processor's caches, so they take longer there than *alone*.

**The recorder.** `step_scheduled` and `step_done` with the batch's arrays at hand; \
`recorder_step_us_with_lists` gathers them from request objects each time. Imports run in fresh \
interpreters that find their bytecode, as an installed package does.

Rows take turns in rounds of about {rounds.ROUND_NS // 1_000_000} ms or some tens of steps. A \
round is quiet if a fixed loop before and after it ran at most {rounds.QUIET - 1:.0%} slower \
than it ever did: a virtual processor that shares its core runs at half speed while its \
neighbour is busy. Figures are medians of the quiet rounds; the table of spreads says how many \
were quiet; where fewer than {rounds.FEWEST} were, all count. Journals have the default size and \
are on tmpfs; the recorder's wraps around during the run."""

_SIZES = tuple(map(str, measure.BATCHES))


def render(result: dict[str, Any]) -> str:
    """The page's text."""
    parts = (_head, _vllm, _recorder, _method)
    return "\n".join(part(result) for part in parts)


def _head(result: dict[str, Any]) -> str:
    machine, versions, vllm = result["machine"], result["versions"], result["vllm_versions"]
    return f"""# What the hooks cost

`make bench-hooks`, {result["taken"]}, on {machine["processor"]} ({machine["cores"]} cores, \
{machine["system"]}); Python {versions["python"]}, msgspec {versions["msgspec"]}, otel-llm \
{versions["otel-llm"]}; vLLM {vllm["vllm"]} on Python {vllm["python"]}, torch {vllm["torch"]}.
"""


def _vllm(result: dict[str, Any]) -> str:
    return f"""## vLLM

| requests in the batch | all hooks of a vLLM step, us | goal, us | as a difference, us (95 %) \
| alone, us | in an engine that generates, us | share of 10 ms | bytes per step |
|---|---|---|---|---|---|---|---|
{_lines(_step_row(result, size) for size in _SIZES)}

{_lines(_verdicts(result))}

Tokens per second with hooks: **{result["vllm_throughput_ratio"]:.3f}** of those without, 95 % \
interval {result["vllm_throughput_ratio_low"]:.3f} to {result["vllm_throughput_ratio_high"]:.3f} \
({result["vllm_throughput_pairs"]} pairs; goal: lower bound at least \
{result["goal"]["vllm_throughput_ratio_low"]}).

While it generates, the hooks take at most {result["hook_share_of_step"]:.3%} of a step, and \
{result["hook_share_of_10_ms"]:.3%} of one of 10 ms (goal: at most \
{result["goal"]["hook_share_of_10_ms"]:.1%}):

| requests in the batch | step, ms | hooks in it, us | share |
|---|---|---|---|
{_lines(_engine_row(size, one) for size, one in result["engine"].items())}

What less costs at the same places, us, in place and in an engine that generates: hooks that only \
*call on*; that also read the clock and *copy* 40 bytes into a mapped file; that only *write* the \
step's two records, made before, into a journal. The last is our own way into the journal, with \
its encoding and its lock: a part of this design, and no bound that another could not go below:

| requests in the batch | call on | copy | write | ours | call on, generating | copy, generating \
| write, generating | ours, generating |
|---|---|---|---|---|---|---|---|---|
{_lines(_floor_row(result, size) for size in _SIZES)}

Other steps, in place, us:

| requests in the batch | result before the next step | one arrives and ends | with drafts |
|---|---|---|---|
{_lines(_other_row(result, size) for size in _SIZES)}

By hook, in place, us:

| requests in the batch | hook | us |
|---|---|---|
{_lines(_hook_rows(result["step_us_by_hook"]))}
"""


def _recorder(result: dict[str, Any]) -> str:
    return f"""## The recorder alone

| requests in the batch | both calls of a step, us | with list building, us | switched off, us \
| bytes per step |
|---|---|---|---|---|
{_lines(_recorder_row(result, size) for size in _SIZES)}

The other calls of a request's whole life, from arrival to end: {result["recorder_request_us"]} us \
in all.

Importing what an engine imports: {result["import_ms"]} ms (goal: under \
{result["goal"]["import_ms"]} ms), of which msgspec alone takes {result["import_msgspec_ms"]} ms.
"""


def _method(result: dict[str, Any]) -> str:
    return f"""## Method

{result["method"]}

## Spread

Microseconds; milliseconds for imports. `steady` is in place, `passing`, `least` and `writing` are \
the hooks that call on, copy and write, `sync`, `arriving` and `drafts` the other steps.

| row | min | quartile | median | quartile | max | quiet rounds | median of every round |
|---|---|---|---|---|---|---|---|
{_lines(_spread_row(result, name) for name in result["spread"])}
"""


def _lines(rows: Iterable[str]) -> str:
    return "\n".join(rows)


def _step_row(result: dict[str, Any], size: str) -> str:
    difference, engine_us = result["step_us_difference"][size], result["engine"][size]["hooks_us"]
    return (
        f"| {size} | {result['step_us'][size]:.1f} | {result['goal']['step_us'][size]} "
        f"| {difference['median']} ({difference['low95']} to {difference['high95']}) "
        f"| {result['step_us_alone'][size]:.1f} | {engine_us:.1f} | {engine_us / 10_000:.2%} "
        f"| {result['bytes_per_step'][size]:.0f} |"
    )


def _verdicts(result: dict[str, Any]) -> Iterator[str]:
    """What became of the goals for a step, at each size of the batch."""
    share = result["goal"]["hook_share_of_10_ms"]
    most = result["goal"]["step_us"]
    engine = {size: result["engine"][size]["hooks_us"] for size in _SIZES}
    yield _verdict("In place, at most 5 us and 0.1 us per request", result["step_us"], most)
    yield _verdict("Alone, the same", result["step_us_alone"], most)
    yield _verdict(
        f"In an engine that generates, at most {share:.1%} of a step of 10 ms",
        engine,
        dict.fromkeys(_SIZES, share * 10_000),
    )


def _verdict(goal: str, took: Mapping[str, float], most: Mapping[str, float]) -> str:
    missed = [size for size in _SIZES if took[size] > most[size]]
    if not missed:
        return f"- {goal}: kept at every size."
    if len(missed) == len(_SIZES):
        return f"- {goal}: **missed at every size.**"
    return f"- {goal}: **missed at {', '.join(missed)}**, kept at the others."


def _floor_row(result: dict[str, Any], size: str) -> str:
    in_place, engine = result["floor_us"], result["engine"][size]["floor_us"]
    figures = [in_place[kind][size] for kind in FLOORS] + [result["step_us"][size]]
    figures += [engine[kind] for kind in FLOORS] + [result["engine"][size]["hooks_us"]]
    return f"| {size} | " + " | ".join(f"{one:.1f}" for one in figures) + " |"


def _engine_row(size: str, one: dict[str, Any]) -> str:
    return f"| {size} | {one['step_ms']:.1f} | {one['hooks_us']:.1f} | {one['share']:.3%} |"


def _other_row(result: dict[str, Any], size: str) -> str:
    kinds = ("step_us_sync", "step_us_arriving", "step_us_drafts")
    return f"| {size} | " + " | ".join(f"{result[kind][size]:.1f}" for kind in kinds) + " |"


def _hook_rows(by_hook: dict[str, dict[str, float]]) -> Iterator[str]:
    for size, hooks in by_hook.items():
        for name, took in hooks.items():
            yield f"| {size} | `{name}` | {took} |"


def _recorder_row(result: dict[str, Any], size: str) -> str:
    return (
        f"| {size} | {result['recorder_step_us'][size]} "
        f"| {result['recorder_step_us_with_lists'][size]} "
        f"| {result['recorder_step_us_disabled'][size]} "
        f"| {result['recorder_bytes_per_step'][size]:.0f} |"
    )


def _spread_row(result: dict[str, Any], name: str) -> str:
    one = result["spread"][name]
    figures = " | ".join(str(one[key]) for key in ("min", "q1", "median", "q3", "max", "repeats"))
    return f"| {name} | {figures} | {result['spread_of_every_round'][name]['median']} |"
