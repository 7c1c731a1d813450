"""The readable page of a check."""

from typing import Any

METHOD = """The demo runs once, then three faults of the drills (queue flood, errors of one tenant,
dead engine) and callers with broken trace contexts; a fake NVML plays GPUs with XIDs, memory
errors and held clocks. A real Prometheus scrapes gateway, agent and `up` every second. Then each
query of each panel is asked: SQL through the embedded ClickHouse's HTTP interface, behind its
door, with Grafana's macros and variables put in; PromQL of Prometheus. A panel fails if a query is
refused or its answer does not fit the panel; it is without data if no query gives a number or a
row. `benchmarks/dashboards/without_data.toml` names those that may be, with the reason."""

LARGE_METHOD = """`python -m benchmarks.store --only questions --keep DIR` makes a day of 8 engines;
`make check-dashboards ARGS="--large DIR/large-10000000"` asks it. Each panel's SQL goes through
`up`, as Grafana's does, in five windows of the board's own time range, drawn at random; several
queries of a panel one after the other. The budget of a panel is 300 ms and 5 M rows read. A day is
asked once, without a budget."""


def render(result: dict[str, Any]) -> str:
    """The page as Markdown."""
    lines = [
        "# Boards", "",
        f"Taken {result['taken']} on {result['machine']['processor']}, "
        f"{result['machine']['cores']} cores.", "",
        "| what | figure |", "|---|---|",
        *(f"| {name} | {value} |" for name, value in _figures(result)), "",
        METHOD, "",
    ]  # fmt: skip
    lines += _listed("Without data", result["without_data"])
    lines += _listed("Failing", {name: "; ".join(why) for name, why in result["failing"].items()})
    if "large" in result:
        lines += _large(result["large"])
    return "\n".join(lines).rstrip() + "\n"


def _large(large: dict[str, Any]) -> list[str]:
    """Times in a large store: what is above the budget, then all, the slowest first."""
    panels = sorted(large["panels"].items(), key=lambda one: -one[1]["ms"]["max"])
    rows = ", ".join(f"{count:,} in `{table}`" for table, count in large["rows"].items())
    head = ["| panel | ms | most, ms | rows read | a day: ms | a day: rows read |",
            "|---|---|---|---|---|---|"]  # fmt: skip
    over = [_line(name, one) for name, one in panels if name in large["over"]]
    return [
        "## In a large store", "",
        f"Taken {large['taken']} on {large['machine']['processor']}, "
        f"{large['machine']['cores']} cores.", "",
        LARGE_METHOD, "", f"Rows: {rows}.", "",
        f"{len(panels)} panels and variables ask it, {len(over)} above the budget.", "",
        *([*head, *over, "", "All:", ""] if over else []),
        *head, *(_line(name, one) for name, one in panels), "",
    ]  # fmt: skip


def _line(name: str, one: dict[str, Any]) -> str:
    ms, day = one["ms"], one["day"]
    return (
        f"| {name} | {ms['p50']:g} | {ms['max']:g} | {one['rows_read']:,} | {day['ms']:g} | "
        f"{day['rows_read']:,} |"
    )


def _figures(result: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("boards", result["boards"]),
        ("panels", result["panels"]),
        ("queries", result["queries"]),
        ("panels that fail", result["panels_failing"]),
        ("panels without data", result["panels_without_data"]),
        ("exemplars that lead to traces", result["exemplars"]),
        ("calls recorded", result["calls_recorded"]),
        ("query, median, ms", result["query_ms"]["median"]),
        ("query, slowest, ms", f"{result['query_ms']['max']} ({result['query_ms']['slowest']})"),
    ]  # fmt: skip


def _listed(title: str, reasons: dict[str, str]) -> list[str]:
    if not reasons:
        return []
    rows = [f"| {name} | {why or 'no reason given'} |" for name, why in reasons.items()]
    return [f"## {title}", "", "| panel | why |", "|---|---|", *rows, ""]
