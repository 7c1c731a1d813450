"""Makes the parts of `store.md` about the way in, what a million calls cost, and kills."""

from typing import Any

from benchmarks.store import ingest
from benchmarks.store.cost import DEMO

METHOD = (
    "Requests of 1000 spans (15 attributes and 5 of the resource), each another one, go over "
    f"OTLP/HTTP, not compressed, from another process over {ingest.CONNECTIONS} connections to an "
    f"`otel-llm up` with an empty store and `store_memory_bytes` {ingest.MEMORY_BYTES >> 30} GiB, "
    "which the copy needs for blocks of a million rows; the sender waits while the spool has over "
    f"{ingest.AHEAD_BYTES >> 20} MiB. CPU is that of the whole process of `up`, from the first "
    "request until the spool is empty and no merge has run for three seconds. Then, in the same "
    "process and counted alike, `INSERT INTO copy SELECT * FROM otel_traces` into a table with the "
    "same columns, indexes and view. "
    f"{ingest.ROUNDS} such pairs, each in a new `up`; medians. Facts: Arrow blocks through the "
    "writer over HTTP, one after the other."
)


def render(result: dict[str, Any]) -> str:
    """The parts that there are figures for."""
    ingested = _ingest(result["ingest"]) if "ingest" in result else ""
    return ingested + _cost(result) + _kills(result)


def _ingest(one: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {name} | {each['median']:,g} | {each['min']:,g} | {each['max']:,g} |"
        for name, each in one["spread"].items()
    )
    threads = "\n".join(
        f"| {name} | {us} | {one['us_per_span_by_thread']['copied'].get(name, 0)} |"
        for name, us in one["us_per_span_by_thread"]["stored"].items()
        if us >= 0.05
    )
    facts = "\n".join(
        f"| `{table}` | {each['rows_per_block']:,} | {each['rows_per_s']:,} "
        f"| {each['rows_per_core_s']:,} |"
        for table, sizes in one["facts"].items()
        for each in sizes.values()
    )
    return f"""
## The way in

{one["spans"]:,} spans through `otel-llm up`: {one["spans_per_s"]:,} a second, and \
{one["spans_per_core_s"]:,} per core-second with everything counted, merges too. That is \
{one["ratio_to_native_copy"]:.0%} of what ClickHouse does when it copies its own table.

| | median | least | most |
|---|---|---|---|
{rows}

Where the CPU goes, in us per span. ClickHouse renames the threads that enter it: `Unknown` decodes
and inserts, `MergeMutate` merges, `main` reads HTTP, `python` checks requests and writes the spool;
the copy runs in `ThreadPool`.

| thread | stored | copied |
|---|---|---|
{threads}

| facts | rows of a block | rows/s | rows per core-second |
|---|---|---|---|
{facts}

{_merges(one)}

{METHOD}
"""


def _merges(one: dict[str, Any]) -> str:
    """How far merges are in these figures, which depends on how long one looks."""
    rows = "\n".join(
        f"| {part['spans']:,} | {_merge_us(part, 'stored'):g} | {_merge_us(part, 'copied'):g} "
        f"| {part['spans_per_core_s']:,} | {part['copy_per_core_s']:,} "
        f"| {part['ratio_to_native_copy']:.2f} |"
        for part in (one, one["longer"])
    )
    return f"""Merges depend on how long one looks. Few spans make few parts, so none is merged
within the run; whoever stores for days pays for several merges of each span, and so does the copy
([ADR 8](../../docs/adr/0008-spool.md)).

| spans | merges of stored, us | merges of copied, us | stored/core-s | copied/core-s | ratio |
|---|---|---|---|---|---|
{rows}"""


def _merge_us(part: dict[str, Any], what: str) -> float:
    threads: dict[str, float] = part["us_per_span_by_thread"][what]
    return threads.get("MergeMutate", 0.0)


def _cost(result: dict[str, Any]) -> str:
    if "per_million_calls" not in result:
        return ""
    one = result["per_million_calls"]
    calls = DEMO["llm_gateway_calls"]
    mix = ", ".join(
        f"{count / calls:.2f} `{table}`" for table, count in DEMO.items() if count != calls
    )
    return f"""
## A million calls

As `otel-llm demo` leaves them, per call: {mix}; no kernels. Rows of the sizes below.

| | |
|---|---|
| on disk | {one["bytes"] / 1e9:.2f} GB |
| CPU of spans | {one["spans_core_s"]} s |
| CPU of facts, in small blocks | {one["facts_core_s"]["small"]} s |
| CPU of facts, in large blocks | {one["facts_core_s"]["large"]} s |
"""


def _kills(result: dict[str, Any]) -> str:
    if "kills" not in result:
        return "\n## Kills\n\nNot measured here: `make kill-loop` was not run.\n"
    return f"""
## Kills

`make kill-loop`: {result["kills"]} SIGKILLs of receiver, store and agent under load; of what was
acknowledged {result["lost_after_kill"]} were lost and {result["doubled_after_kill"]} stored twice
([figures](kills.json)).
"""
