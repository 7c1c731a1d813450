"""Makes `gateway.md` from the figures."""

from typing import Any

from benchmarks.gateway import measure

METHOD = (
    f"One FastAPI application, bare and instrumented, driven by ASGI messages without a socket: "
    f"{measure.ROUNDS} rounds of {measure.CALLS} calls each, all variants in turn within a round, "
    "so that all see the same noise. Time is the event loop's CPU time (`thread_time`), and each "
    "figure is the median over rounds of the difference to the bare application in the same round. "
    "A call has a body of 2 kB, a traceparent and a trusted tenant header; its facts go to a real "
    "journal on tmpfs. "
    f"A chunk's cost is the difference between answers of {measure.CHUNKS} content chunks and of "
    "one, per chunk. Spans are sampled in full and dropped by the exporter. `request_us` and "
    "`chunk_us` hold all that `instrument_gateway` adds with an SDK, OpenTelemetry's own server "
    "span included."
)


def render(result: dict[str, Any]) -> str:
    """The page's text."""
    machine, versions = result["machine"], result["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    spread = "\n".join(
        f"| {name} | {one['min']} | {one['q1']} | {one['median']} | {one['q3']} | {one['max']} |"
        for name, one in result["spread"].items()
    )
    return f"""# What the gateway middleware costs

`make bench-gateway`, {result["taken"]}, on {machine["processor"]} ({machine["cores"]} cores, \
{machine["system"]}); {packages}.

| added to a bare application | per request, us | per chunk, us |
|---|---|---|
| `instrument_gateway`, all of it | {result["request_us"]} | {result["chunk_us"]} |
| of which OpenTelemetry's server span | {result["request_us_opentelemetry"]} \
| {result["chunk_us_opentelemetry"]} |
| `instrument_gateway` without an SDK | {result["request_us_without_sdk"]} \
| {result["chunk_us_without_sdk"]} |

One attempt (span, headers, fact) adds {result["attempt_us"]} us. The bare application takes \
{result["bare_request_us"]} us per request and {result["bare_chunk_us"]} us per chunk.

## Method

{result["method"]}

## Spread

Microseconds per call; `1` and `{measure.CHUNKS}` are the chunks of the answer.

| row | min | quartile | median | quartile | max |
|---|---|---|---|---|---|
{spread}
"""
