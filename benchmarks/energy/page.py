"""Makes `energy.md` from the figures."""

from typing import Any

METHOD = (
    "A simulated GPU (`benchmarks/energy/gpu.py`) serves pieces of the Azure and Mooncake traces "
    "with continuous batching. Its power law is none of the models': classes of work with a power "
    "each, a soft roofline, padding, clock, heat and lag. "
    "Truth is the Shapley value of that law in "
    "each step, reckoned without the package. Coefficients are fitted on pieces half an hour "
    "later in the traces; `work, by data sheet` goes without. "
    "The counter ticks every 100 ms and is read at 10 Hz; the sensor looks at "
    "25 ms in 100 with 3 % of noise. Long requests live for more than two windows of 1 s. The "
    "facts go through the agent, over real journals and by the simulation's clock "
    "(`benchmarks/energy/through_agent.py`), and amounts and ledger are read back from the "
    "embedded ClickHouse that it writes to; `shapley`, which it does not know, through the pure "
    "functions (`benchmarks/energy/pipeline.py`). Device and calibration are of the same law. "
    "Headline errors are of long requests by `work`, over both traces and sensors; the coverage is "
    "of all requests by `work`. The residual is the larger of two: a window's line against what "
    "requests' rows say they were charged in it, and the whole run's likewise."
)


def render(result: dict[str, Any]) -> str:
    """The page's text."""
    machine, speed = result["machine"], result["attribution_ms_per_s"]
    rows = "\n".join(
        f"| {row['trace']} | {row['sensor']} | {row['model']} | {row['requests']} | {row['count']} "
        f"| {_percent(row['median'])} | {_percent(row['p95'])} | {_percent(row['bias'])} "
        f"| {_percent(row['inside'])} | {_percent(row['bound'])} |"
        for row in result["rows"]
    )
    points = "\n".join(
        f"| {one['batch']:g} | {one['published_j']} | {one['predicted_j']} "
        f"| {_percent(one['error'])} |"
        for one in result["published"]
    )
    return f"""# How well energy per request is told

`make prove-energy`, {result["taken"]}, on {machine["processor"]} ({machine["cores"]} cores). \
Simulated; no figure here was measured on a GPU.

| figure | value |
|---|---|
| residual of the ledger, the largest | {result["ledger_residual_max"]:g} |
| error of long requests by `work`, median | {_percent(result["work_error_median"])} |
| error of long requests by `work`, 95th percentile | {_percent(result["work_error_p95"])} |
| truths inside the stated bounds | {_percent(result["bounds_coverage"])} |
| error of all metered energy, the largest | {_percent(result["metered_error_max"])} |
| CPU time of attribution per second of 8 engines, 100 steps/s, batch 256 \
| {speed["median"]} ms ({speed["min"]} to {speed["max"]}) |

## By trace, sensor, model and duration

| trace | sensor | model | requests | count | median | 95th | mean | inside | median bound |
|---|---|---|---|---|---|---|---|---|---|
{rows}

## Beside the published table

Llama 3.1 8B in chat on one H100. Two numbers (time per member, a factor on power) are fitted at a
batch of 64; the rest is predicted: within {_percent(result["published_error_median"])} in the
median, {_percent(result["published_error_max"])} at the worst.

| batch | published, J per token | predicted | error |
|---|---|---|---|
{points}

## Method

{result["method"]}
"""


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
