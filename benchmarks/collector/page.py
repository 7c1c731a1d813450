"""Makes `collector.md` from the figures."""

from typing import Any

METHOD = (
    "Requests of 1000 spans with 15 attributes, and 5 of their resource, over OTLP/HTTP without "
    "compression, one after the other. In each round as many go each way in turn, into the same "
    "table of the same store (`otel-llm up` on chDB); their spans differ by their random ids. CPU "
    "time is user and system time of all processes of a way but the sender's, from the first "
    "request until all spans are stored and no merge runs: receiver and store are one process; the "
    "collector's way is the collector, the ClickHouse interface and the store. Every span is "
    "counted in the table after each round: none may be missing or twice."
)


def render(result: dict[str, Any]) -> str:
    """The page's text."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    rows = "\n".join(
        f"| {name} | {_figures(way['spans_per_core_s'])} | {way['ratio']} | "
        f"{'yes' if way['on_disk_before_ack'] else 'no'} |"
        for name, way in result["ways"].items()
    )
    return f"""# Our receiver beside the OpenTelemetry Collector

`make bench-collector`, {result["taken"]}, on {machine["processor"]} ({machine["cores"]} cores, \
{machine["system"]}); {versions}.

For each second of CPU time our receiver stores **{result["ratio_to_collector_per_core"]} times** \
as many spans as the best
collector that, like ours, has on disk what it acknowledges.

| way | spans per core-second, median | quartiles | ours to it | on disk before the answer |
|---|---|---|---|---|
{rows}

{result["rounds"]} rounds of {result["spans_per_round"]:,} spans each way.

## Method

{result["method"]}
"""


def _figures(one: dict[str, float]) -> str:
    return f"{one['median']:,.0f} | {one['q1']:,.0f} to {one['q3']:,.0f}"
