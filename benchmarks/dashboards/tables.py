"""Panels that are text: stats, tables, bars and the trace view, as HTML."""

import datetime as dt
import html
from typing import Any

from benchmarks.dashboards import units
from benchmarks.dashboards.ask import Answer
from benchmarks.dashboards.charts import NAMED, PALETTE
from benchmarks.dashboards.check import Asked
from benchmarks.dashboards.frames import series

_ROW = 24
"""Height of a table's row, in pixels."""


def stat(asked: Asked, _height: int) -> str:
    """The last value, large, in the colour of its threshold."""
    defaults = asked.panel["fieldConfig"]["defaults"]
    shown = []
    for one in series(asked):
        known = [value for value in one.values if value is not None]
        if known:
            text = units.text(known[-1], defaults["unit"], defaults.get("decimals"))
            shown.append(f"<b style='color:{_threshold(defaults, known[-1])}'>{text}</b>")
    return f"<div class=stat>{' '.join(shown)}</div>"


def _threshold(defaults: dict[str, Any], value: float) -> str:
    color = "green"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            color = step["color"]
    return NAMED.get(color, color)


def table(asked: Asked, height: int) -> str:
    """Rows, as many as there is room for."""
    answer, room = _as_table(asked), max(1, height // _ROW - 1)
    shown = _columns(asked)
    first = answer.rows[0]
    head = "".join(f"<th{_align(first[i])}>{html.escape(title)}</th>" for i, title, _, _ in shown)
    body = "".join(
        "<tr>" + "".join(_cell(row[i], unit, asked, link) for i, _, unit, link in shown) + "</tr>"
        for row in answer.rows[:room]
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _as_table(asked: Asked) -> Answer:
    """The first answer; of Prometheus a row per series, its labels and newest value."""
    answer = asked.answers[0]
    if not answer.series:
        return answer
    names = sorted({name for labels, _ in answer.series for name in labels})
    rows = tuple(
        (*(labels.get(name, "") for name in names), points[-1][1])
        for labels, points in answer.series
    )
    return Answer(columns=(*names, "Value"), rows=rows)


def _align(value: object) -> str:
    return " class=number" if isinstance(value, int | float) else ""


def _columns(asked: Asked) -> list[tuple[int, str, str, bool]]:
    """Place, title, unit and whether it links, of each column that is shown."""
    unit = asked.panel["fieldConfig"]["defaults"]["unit"]
    own: dict[str, dict[str, Any]] = {
        override["matcher"]["options"]: {each["id"]: each["value"] for each in
                                         override["properties"]}
        for override in asked.panel["fieldConfig"]["overrides"]
    }  # fmt: skip
    return [
        (i, own.get(name, {}).get("displayName", name), own.get(name, {}).get("unit", unit),
         "links" in own.get(name, {}))
        for i, name in enumerate(_as_table(asked).columns)
        if not own.get(name, {}).get("custom.hidden")
    ]  # fmt: skip


def _cell(value: object, unit: str, asked: Asked, link: bool) -> str:
    decimals = asked.panel["fieldConfig"]["defaults"].get("decimals")
    shown = f"{value:%H:%M:%S}" if isinstance(value, dt.datetime) else (
        units.text(value, unit, decimals if isinstance(value, float) else None)
    )  # fmt: skip
    text = html.escape(shown)
    return f"<td{_align(value)}>{f'<a>{text}</a>' if link else text}</td>"


def bars(asked: Asked, height: int) -> str:
    """One bar per row, the longest as wide as the panel."""
    answer, defaults = asked.answers[0], asked.panel["fieldConfig"]["defaults"]
    found = [(one.name, one.values[-1]) for one in series(asked)] if answer.series else answer.rows
    rows = [row for row in found if row[1] is not None][: max(1, height // _ROW)]
    most = max((abs(row[1]) for row in rows), default=1) or 1
    return "".join(
        f"<div class=bar><span>{html.escape(str(row[0]))}</span>"
        f"<i style='width:{45 * abs(row[1]) / most:.1f}%;"
        f"background:{PALETTE[n % len(PALETTE)]}'></i>"
        f"{units.text(row[1], defaults['unit'])}</div>"
        for n, row in enumerate(rows)
    )


def spans(asked: Asked, height: int) -> str:
    """A trace as bars, children below their parents."""
    answer = asked.answers[0]
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    begin = min(row["startTime"] for row in rows)
    whole = max((row["startTime"] - begin).total_seconds() * 1e3 + row["duration"] for row in rows)
    children: dict[str, list[dict[str, Any]]] = {}
    ids = {row["spanID"] for row in rows}
    for row in rows:
        parent = row["parentSpanID"] if row["parentSpanID"] in ids else ""
        children.setdefault(parent, []).append(row)
    ordered: list[tuple[int, dict[str, Any]]] = []
    waiting = [(0, row) for row in reversed(children.get("", []))]
    while waiting:
        depth, row = waiting.pop()
        ordered.append((depth, row))
        waiting += [(depth + 1, child) for child in reversed(children.get(row["spanID"], []))]
    return "".join(
        _span(depth, row, (row["startTime"] - begin).total_seconds() * 1e3, whole)
        for depth, row in ordered[: height // _ROW]
    )


def _span(depth: int, row: dict[str, Any], at_ms: float, whole_ms: float) -> str:
    name = html.escape(f"{row['serviceName']} {row['operationName']}")
    color = NAMED["red"] if row.get("statusCode") == 2 else PALETTE[depth % len(PALETTE)]
    left, width = 54 * at_ms / whole_ms, max(0.2, 54 * row["duration"] / whole_ms)
    return (
        f"<div class=span><span style='padding-left:{depth * 12}px'>{name}</span>"
        f"<i style='left:{38 + left:.2f}%;width:{width:.2f}%;background:{color}'></i>"
        f"<em>{units.text(row['duration'] / 1e3, 's')}</em></div>"
    )
