"""The readable page of small INSERTs."""

from typing import Any

PARTS = {
    "the floor: one column of one MergeTree in the same chDB": "one column",
    "its columns, codecs, order, indexes and window": "codecs, order, indexes, window",
    "on the disk before the answer": "on the disk before the answer",
    "its rollup, a second part with states of aggregates": "its views",
    "session, token, HTTP, zstd, the door": "through the interface",
}
"""What a part of the cost is called, and the last line that has it."""
METHOD = """Each line is an INSERT of the same rows with one thing more than the line before. The
first is the floor: the same number of rows, numbers that ClickHouse makes itself, in one column of
one MergeTree of the same chDB, nothing synced. `all columns` takes the Arrow block that an agent
sends into a table of these columns and types, with no order and no codecs. Then the table as the
schema makes it; then synced (`fsync_after_insert`, `fsync_part_directory`); then the schema's own
table, with the views that depend on it; then with a session, settings and a deduplication token of
its own for each, as the interface does. All this is in one process. The last is an `otel-llm up`
that gets the blocks through the writer of agents: HTTP, zstd, the door. CPU is user and system time
of the whole process, what it takes idle left out; merges are those of the threads that merge, until
nothing is merged."""


def render(result: dict[str, Any]) -> str:
    """The page as Markdown."""
    machine, versions = result["machine"], result["versions"]
    lines = [
        "# What a small INSERT costs", "",
        f"`make bench-inserts`, {result['taken']}, on {machine['processor']} ({machine['cores']} "
        f"cores, {machine['system']}); chdb {versions['chdb']}; {result['inserts']} INSERTs of "
        f"each line, {result['rounds']} rounds, medians.", "",
        f"| of an INSERT, core-ms | {' | '.join(f'`{name}`' for name in result['tables'])} |",
        f"|---{'|---' * len(result['tables'])}|", *_parts(result["tables"]), "",
    ]  # fmt: skip
    for name, table in result["tables"].items():
        lines += [
            f"## {name}, {table['rows']} rows", "",
            "| with | an INSERT, core-ms | more than before | least, most | merges, core-ms |",
            "|---|---|---|---|---|", *_rungs(table["rungs"]), "",
        ]  # fmt: skip
    return "\n".join([*lines, METHOD, ""])


def _parts(tables: dict[str, dict[str, Any]]) -> list[str]:
    """What each part adds, by table: the lines of the tables taken together."""
    lines, before = [], dict.fromkeys(tables, 0.0)
    for part, rung in PARTS.items():
        upto = {name: table["rungs"][rung]["insert_ms"] for name, table in tables.items()}
        added = " | ".join(f"{upto[name] - before[name]:.1f}" for name in tables)
        lines.append(f"| {part} | {added} |")
        before = upto
    total = " | ".join(f"{spent:.1f}" for spent in before.values())
    return [*lines, f"| as agents send it | {total} |"]


def _rungs(rungs: dict[str, dict[str, Any]]) -> list[str]:
    lines, before = [], 0.0
    for name, cost in rungs.items():
        least, most = cost["insert_ms_range"]
        lines.append(
            f"| {name} | {cost['insert_ms']:.1f} | {cost['insert_ms'] - before:+.1f} | "
            f"{least:.1f}, {most:.1f} | {cost['merge_ms']:.1f} |"
        )
        before = cost["insert_ms"]
    return lines
