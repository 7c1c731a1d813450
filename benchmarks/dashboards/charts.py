"""Panels as SVG, by Matplotlib, in Grafana's dark colours."""

import io
import itertools
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.dashboards import units
from benchmarks.dashboards.check import Asked
from benchmarks.dashboards.frames import Series, series

PALETTE = ("#7EB26D", "#EAB839", "#6ED0E0", "#EF843C", "#E24D42", "#1F78C1", "#BA43A9", "#705DA0",
           "#508642", "#CCA300", "#447EBC", "#C15C17")  # fmt: skip
NAMED = {"green": "#73BF69", "orange": "#FF9830", "red": "#F2495C", "blue": "#5794F2"}
_TEXT, _PAPER, _GRID = "#ccccdc", "#181b1f", "#2c3235"
_MANY = 8
"""Most names that a legend shows."""


def chart(asked: Asked, width: int, height: int) -> str:
    """A panel that is drawn, as SVG.

    Args:
        asked: the panel and its answers.
        width: in pixels.
        height: in pixels.
    """
    figure, axes = plt.subplots(figsize=(width / 100, height / 100), dpi=100, facecolor=_PAPER)
    axes.set_facecolor(_PAPER)
    axes.tick_params(colors=_TEXT, labelsize=7, length=2)
    for spine in axes.spines.values():
        spine.set_color(_GRID)
    axes.grid(color=_GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    _DRAWN[asked.panel["type"]](axes, asked)
    figure.tight_layout(pad=0.4)
    text = io.StringIO()
    figure.savefig(text, format="svg", facecolor=_PAPER, metadata={"Date": None})
    plt.close(figure)
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]


def _defaults(asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = asked.panel["fieldConfig"]["defaults"]
    return found


def color_of(asked: Asked, name: str, number: int) -> str:
    """The colour of a series: the fixed one, else the palette's."""
    for override in asked.panel["fieldConfig"]["overrides"]:
        for each in override["properties"]:
            if override["matcher"]["options"] == name and each["id"] == "color":
                fixed = each["value"]["fixedColor"]
                return NAMED.get(fixed, fixed)
    return PALETTE[number % len(PALETTE)]


def _timeseries(axes: Axes, asked: Asked) -> None:
    found, defaults = series(asked), _defaults(asked)
    begin = asked.span_s[0]
    custom = defaults["custom"]
    if custom["stacking"]["mode"] == "normal":
        _stacked(axes, asked, found, begin)
    else:
        for number, one in enumerate(found):
            style = {"linestyle": "none", "marker": "."} if custom["drawStyle"] == "points" else {}
            axes.plot(
                [at - begin for at in one.times],
                [float("nan") if value is None else value for value in one.values],
                color=color_of(asked, one.name, number), linewidth=1, markersize=3,
                label=one.name, **style,
            )  # fmt: skip
    for step in (
        defaults["thresholds"]["steps"] if custom["thresholdsStyle"]["mode"] == "line" else ()
    ):
        if step["value"] is not None and axes.get_ylim()[1] > step["value"]:
            axes.axhline(step["value"], color=NAMED[step["color"]], linewidth=0.8, linestyle="--")
    _axis(axes, asked)
    _legend(axes, len(found))


def _stacked(axes: Axes, asked: Asked, found: Sequence[Series], begin: float) -> None:
    times = sorted(set(itertools.chain.from_iterable(one.times for one in found)))
    rows = [[dict(zip(one.times, one.values, strict=True)).get(at) or 0 for at in times]
            for one in found]  # fmt: skip
    colors = [color_of(asked, one.name, number) for number, one in enumerate(found)]
    at = [moment - begin for moment in times]
    if _defaults(asked)["custom"]["drawStyle"] == "bars" and len(times) > 1:
        floor = [0.0] * len(times)
        for row, color, one in zip(rows, colors, found, strict=True):
            axes.bar(at, row, (at[-1] - at[0]) / len(at) * 0.9, floor, color=color, label=one.name)
            floor = [low + value for low, value in zip(floor, row, strict=True)]
        return
    axes.stackplot(at, rows, colors=colors, labels=[one.name for one in found], alpha=0.7)


def _axis(axes: Axes, asked: Asked) -> None:
    defaults = _defaults(asked)
    if "min" in defaults:
        axes.set_ylim(bottom=defaults["min"])
    elif "axisSoftMin" in defaults["custom"] and axes.dataLim.y0 >= 0:
        axes.set_ylim(0, axes.get_ylim()[1] if axes.dataLim.y1 > 0 else 1)
    if "max" in defaults:
        axes.set_ylim(top=defaults["max"])
    axes.yaxis.set_major_formatter(lambda value, _: units.text(value, defaults["unit"]))
    _time_axis(axes, asked)


def _time_axis(axes: Axes, asked: Asked) -> None:
    """The whole range that was asked about, as on every panel of a board."""
    begin, end = asked.span_s
    axes.set_xlim(0, end - begin)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} s")


def _legend(axes: Axes, count: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    more = [f"and {count - _MANY} more"] if count > _MANY else []
    shown = [label[:34] for label in labels[:_MANY]] + more
    width = axes.get_figure().get_size_inches()[0]  # type: ignore[union-attr]
    fitting = int(14 * width / max(map(len, shown), default=1))
    axes.legend(
        handles[: len(shown)], shown, loc="upper center", bbox_to_anchor=(0.5, -0.12),
        ncols=max(1, min(4, fitting)), fontsize=6.5, frameon=False, labelcolor=_TEXT,
        handlelength=1,
    )  # fmt: skip


def _heatmap(axes: Axes, asked: Asked) -> None:
    """Prometheus' buckets hold all values up to their bound; a cell is what one adds."""
    bounds = sorted(
        (float(labels["le"].replace("+Inf", "inf")), dict(points))
        for labels, points in asked.answers[0].series
    )
    times = sorted({at for _, points in bounds for at in points})
    rows, below = [], dict.fromkeys(times, 0.0)
    for _, points in bounds:
        whole = {at: points.get(at, 0.0) for at in times}
        rows.append([max(0.0, whole[at] - below[at]) or float("nan") for at in times])
        below = whole
    begin, half = asked.span_s[0], (times[-1] - times[0]) / max(1, len(times) - 1) / 2
    extent = (times[0] - begin - half, times[-1] - begin + half, -0.5, len(rows) - 0.5)
    axes.imshow(rows, aspect="auto", origin="lower", cmap="turbo", interpolation="nearest",
                extent=extent)  # fmt: skip
    unit = _defaults(asked)["unit"]
    names = [units.text(bound, unit) if bound != float("inf") else "more" for bound, _ in bounds]
    axes.set_yticks(range(0, len(names), 2), names[::2])
    axes.grid(visible=False)
    _time_axis(axes, asked)


def _state_timeline(axes: Axes, asked: Asked) -> None:
    found = series(asked)
    options = (_defaults(asked)["mappings"] or [{"options": {}}])[0]["options"]
    begin = asked.span_s[0]
    for row, one in enumerate(found):
        step = one.times[1] - one.times[0] if len(one.times) > 1 else 1
        for at, value in zip(one.times, one.values, strict=True):
            shown = options.get(f"{value:g}", {"color": "blue"}) if value is not None else None
            if shown:
                axes.barh(row, step, 0.8, at - begin, color=NAMED[shown["color"]], linewidth=0)
    axes.set_yticks(range(len(found)), [one.name[:30] for one in found])
    _time_axis(axes, asked)
    for shown in options.values():
        axes.bar(0, 0, color=NAMED[shown["color"]], label=shown["text"])
    _legend(axes, len(options))


def _xychart(axes: Axes, asked: Asked) -> None:
    answer = asked.answers[0]
    for number, name in enumerate(answer.columns[1:]):
        points = [(row[0], row[number + 1]) for row in answer.rows if row[number + 1] is not None]
        axes.plot(*zip(*points, strict=True), ".", markersize=3, color=PALETTE[number],
                  label=name) if points else None  # fmt: skip
    axes.yaxis.set_major_formatter(lambda value, _: units.text(value, _defaults(asked)["unit"]))
    axes.set_xlabel(answer.columns[0], color=_TEXT, fontsize=7, loc="right", labelpad=0)
    _legend(axes, len(answer.columns) - 1)


def _node_graph(axes: Axes, asked: Asked) -> None:
    """Nodes in columns by their kind, as the way of calls goes."""
    nodes = [dict(zip(asked.answers[0].columns, row, strict=True)) for row in asked.answers[0].rows]
    edges = [dict(zip(asked.answers[1].columns, row, strict=True)) for row in asked.answers[1].rows]
    places: dict[str, tuple[float, float]] = {}
    kinds = ("gateway", "upstream", "engine")
    for x, kind in enumerate(kinds):
        ids = [node["id"] for node in nodes if node["subtitle"] == kind]
        places |= {name: (x, (i + 1) / (len(ids) + 1)) for i, name in enumerate(ids)}
    for edge in edges:
        if edge["source"] in places and edge["target"] in places:
            (x0, y0), (x1, y1) = places[edge["source"]], places[edge["target"]]
            axes.plot([x0, x1], [y0, y1], color="#8e8e8e", linewidth=1, zorder=1)
            axes.text((x0 + x1) / 2, (y0 + y1) / 2, edge["mainstat"], color=_TEXT, fontsize=7)
    for node in nodes:
        x, y = places[node["id"]]
        axes.scatter([x], [y], 700, color=_PAPER, zorder=2,
                     edgecolors=NAMED["green" if node["arc__bad"] < 0.05 else "red"])  # fmt: skip
        axes.text(x, y - 0.13, f"{node['title']}\n{node['mainstat']}", color=_TEXT, fontsize=7,
                  ha="center", va="top")  # fmt: skip
    axes.set_xlim(-0.5, 2.5)
    axes.set_ylim(0, 1)
    axes.axis("off")


_DRAWN = {
    "timeseries": _timeseries,
    "heatmap": _heatmap,
    "state-timeline": _state_timeline,
    "xychart": _xychart,
    "nodeGraph": _node_graph,
}
