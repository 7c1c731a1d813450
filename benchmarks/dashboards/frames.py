"""Answers as series with names, the way Grafana makes frames of them."""

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.dashboards.ask import Answer
from benchmarks.dashboards.check import Asked

_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_FIELD = re.compile(r"\$\{__field\.(?:labels\.)?(\w+)\}")


class Series(NamedTuple):
    """Values over time.

    Attributes:
        name: as the legend shows it.
        times: seconds of the epoch.
        values: one per time; None where there is none.
    """

    name: str
    times: tuple[float, ...]
    values: tuple[float | None, ...]


def series(asked: Asked) -> list[Series]:
    """All series of a panel."""
    shown = asked.panel["fieldConfig"]["defaults"].get("displayName", "")
    found: list[Series] = []
    for target, answer in zip(asked.panel["targets"], asked.answers, strict=True):
        found += _of_prometheus(target, answer) if answer.series else _of_sql(answer, shown)
    return found


def _of_prometheus(target: dict[str, Any], answer: Answer) -> Iterator[Series]:
    for labels, points in answer.series:
        legend = target.get("legendFormat", "")
        name = _LABEL.sub(lambda match, known=labels: known.get(match[1], ""), legend)
        plain = ", ".join(f"{key}={value}" for key, value in labels.items())
        yield Series(
            name.strip() or plain or "value",
            tuple(at for at, _ in points),
            tuple(None if value != value else value for _, value in points),
        )


def _of_sql(answer: Answer, shown: str) -> Iterator[Series]:
    """Long to wide: text columns are labels, each number column is a series per labels."""
    if "time" not in answer.columns:
        yield from _one_row(answer)
        return
    at = answer.columns.index("time")
    kinds = [_kind([row[i] for row in answer.rows]) for i in range(len(answer.columns))]
    texts = [i for i, kind in enumerate(kinds) if kind is str]
    for i, kind in enumerate(kinds):
        if kind is not float:
            continue
        groups: dict[tuple[str, ...], list[tuple[float, Any]]] = {}
        for row in answer.rows:
            key = tuple(str(row[text]) for text in texts)
            groups.setdefault(key, []).append((_seconds(row[at]), row[i]))
        for key, points in groups.items():
            labels = dict(zip((answer.columns[text] for text in texts), key, strict=True))
            name = _named(shown, answer.columns[i], labels)
            yield Series(name, tuple(p[0] for p in points), tuple(p[1] for p in points))


def _one_row(answer: Answer) -> Iterator[Series]:
    for i, name in enumerate(answer.columns):
        values = [row[i] for row in answer.rows]
        if _kind(values) is float:
            yield Series(name, tuple(float(n) for n in range(len(values))), tuple(values))


def _kind(values: list[Any]) -> type | None:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) for value in known):
        return float
    return str if known and all(isinstance(value, str) for value in known) else None


def _named(shown: str, column: str, labels: dict[str, str]) -> str:
    if not shown:
        return " ".join([column, *labels.values()])
    return _FIELD.sub(lambda match: column if match[1] == "name" else labels.get(match[1], ""),
                      shown).strip()  # fmt: skip


def _seconds(moment: dt.datetime) -> float:
    return moment.timestamp()
