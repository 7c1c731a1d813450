"""Makes `devices.md` from the figures."""

from typing import Any

from benchmarks.devices import measure

GOAL_PERCENT = 0.5
METHOD = (
    f"{measure.DEVICES} GPUs of the fake libnvidia-ml (`otel_llm/devices/fake_nvml`) under the "
    f"real pynvml, {measure.REPEATS} repeats of {measure.ROUNDS} rounds each; CPU time of the "
    "thread that reads (`thread_time`). The fake answers at once, so the figures hold our code, "
    "pynvml and the fake, and no time of a driver, which is added on a real node. Not in them: the "
    "wait for events, and what the agent does with the samples. Rounds follow each other at once; "
    "in the row of the running sampler alone the thread wakes up ten times a second, its caches "
    f"cold ({measure.SAMPLED} times {measure.SAMPLED_S:.0f} s). The share "
    f"of a core is that of {measure.HZ - measure.FULL_HZ} quick rounds (energy and power) and "
    f"{measure.FULL_HZ} full round a second, one full round in ten with the slow groups (ECC, "
    "processes) and the look for MIG instances. A group's figure is a full round with that group "
    "alone; each holds the cost of making a sample per device, so they add up to more than a full "
    "round."
)


def render(result: dict[str, Any]) -> str:
    """The page's text."""
    machine, versions = result["machine"], result["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    alone = "\n".join(f"| `{name}` | {took} |" for name, took in result["group_us"].items())
    spread = "\n".join(
        f"| {name} | {one['min']} | {one['q1']} | {one['median']} | {one['q3']} | {one['max']} |"
        for name, one in result["spread"].items()
    )
    return f"""# What reading GPUs costs

`make bench-devices`, {result["taken"]}, on {machine["processor"]} ({machine["cores"]} cores, \
{machine["system"]}); {packages}.

| {result["devices"]} GPUs at {result["hz"]} Hz, without the driver's time | share of a core |
|---|---|
| one full round a second, the others energy and power | {result["core_percent"]} % |
| the sampler's reading thread as it runs, its waking up too | \
{result["sampler_thread_percent"]["median"]} % |
| every round a full one | {result["core_percent_all_full"]} % |
| goal, with the driver's time | {GOAL_PERCENT} % |

| round over {result["devices"]} GPUs | us |
|---|---|
| energy and power | {result["quick_round_us"]} |
| everything but the slow groups | {result["full_round_us"]} |
| everything | {result["slow_round_us"]} |

| group alone | us |
|---|---|
{alone}

## Method

{METHOD}

## Spread

Microseconds per round.

| round | min | quartile | median | quartile | max |
|---|---|---|---|---|---|
{spread}
"""
