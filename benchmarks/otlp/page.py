"""Makes `otlp.md` from the figures."""

from typing import Any

from benchmarks.otlp import measure, spans

METHOD = (
    f"The spans have 15 attributes and 5 of their resource; a tenth has an event and a sixteenth "
    f"a link. They come in requests of {spans.PER_REQUEST}, decoded {measure.PER_BLOCK} at a time. "
    f"The stages take turns, {measure.REPEATS} times; a figure is the median of spans by CPU "
    "seconds of the whole process, so that chDB's threads and merges count, and the stages that "
    "fill the table end when no merge is left. All fill `otel_traces` itself, with its skip "
    "indexes and its view. The copy reads one sorted part of a table that is alike: it has neither "
    "to parse nor to sort. ClickHouse parses with a schema that leaves out lists and maps in "
    "attributes."
)
_NAMES = {
    "check": "check a request",
    "decode": "decode to Native",
    "check_decode": "check and decode",
    "insert_native": "insert decoded Native",
    "check_decode_insert": "check, decode and insert",
    "clickhouse_parses": "ClickHouse parses the protobuf and inserts",
    "copy": "`INSERT INTO otel_traces SELECT * FROM` a table that is alike",
}


def render(result: dict[str, Any]) -> str:
    """The page's text."""
    machine, versions = result["machine"], result["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    rates, ratios = result["spans_per_core_s"], result["ratio_to_native_copy"]
    rows = "\n".join(
        f"| {text} | {rates[name]:,} | {1e6 / rates[name]:.2f} | {_percent(ratios.get(name))} |"
        for name, text in _NAMES.items()
    )
    spread = "\n".join(
        f"| {name} | {one['min']:,.0f} | {one['median']:,.0f} | {one['max']:,.0f} |"
        for name, one in result["spread"].items()
    )
    return f"""# What decoding OTLP costs

`make bench-otlp`, {result["taken"]}, on {machine["processor"]} ({machine["cores"]} cores, \
{machine["system"]}); {packages}. {result["spans"]:,} spans of {result["bytes_per_span"]} bytes.

| stage | spans per core-second | us per span | of the copy |
|---|---|---|---|
{rows}

Decoding and inserting alone, without the check, reach {_percent(ratios["decode_insert"])} of the \
copy.

## Method

{result["method"]}

## Spread

Spans per core-second.

| stage | min | median | max |
|---|---|---|---|
{spread}
"""


def _percent(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.0%}"
