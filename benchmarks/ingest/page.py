"""Makes `ingest.md` from the figures."""

from typing import Any

from benchmarks.ingest import disk, flood

METHOD = (
    f"Append: `Segment.append` of one request, 100 times for each size. Group commit: threads that "
    f"each send {disk.BODY_BYTES >> 10} KiB and wait for their acknowledgement, {disk.SECONDS:g} s "
    f"for each number of them. Insert: one block of {disk.SPANS} spans with 15 attributes into two "
    "tables that differ in `fsync_after_insert` and `fsync_part_directory`, in turn, "
    f"{disk.INSERTS} times each. Flood: {flood.PROCESSES} processes of {flood.CONNECTIONS} "
    f"connections each send requests of {flood.SPANS} spans without a pause and whatever the "
    f"answer, to an `otel-llm up` with `otlp_spool_bytes` {flood.SPOOL_BYTES >> 20} MiB and "
    f"`store_memory_bytes` {flood.STORE_MEMORY_BYTES >> 30} GiB; senders and receiver share the "
    "machine. The peak is the kernel's high-water mark of its resident memory."
)


def render(result: dict[str, Any]) -> str:
    """The page's text."""
    machine, versions = result["machine"], result["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"""# What the way in costs

`make bench-ingest`, {result["taken"]}, on {machine["processor"]} ({machine["cores"]} cores, \
{machine["system"]}); {packages}.

## A request on the disk

| one request of | median, ms | quartiles, ms | max, ms |
|---|---|---|---|
{_spreads(result["append_ms"])}

| senders that wait | requests/s | requests per wait for the disk |
|---|---|---|
{_groups(result["group_commit"])}

## A part on the disk

| an insert of {disk.SPANS} spans that | median, ms | quartiles, ms | max, ms |
|---|---|---|---|
{_spreads(result["insert_ms"])}

## A flood

{_flood(result["flood"])}

## Method

{result["method"]}
"""


def _spreads(rows: dict[str, dict[str, float]]) -> str:
    return "\n".join(
        f"| {name} | {one['median']} | {one['q1']} to {one['q3']} | {one['max']} |"
        for name, one in rows.items()
    )


def _groups(rows: dict[str, dict[str, float]]) -> str:
    return "\n".join(
        f"| {name} | {one['requests_per_s']} | {one['requests_per_wait']} |"
        for name, one in rows.items()
    )


def _flood(one: dict[str, Any]) -> str:
    return (
        f"In {one['seconds']:g} s {one['offered_spans_per_s']} spans/s were offered, "
        f"{one['offered_to_stored']} times what was stored meanwhile; "
        f"{one['acknowledged']} were acknowledged, and all {one['stored']} of them stored once. "
        f"`up` held {one['rss_before_mb']} MB before and {one['rss_peak_mb']} MB at most. "
        f"The spool was empty {one['drained_s']} s after the last request."
    )
