"""Alerts on the health of devices, engines, gateways and this stack, from `health/*.yaml`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from otel_llm.alert_rules import document, durations, expression
from otel_llm.alert_rules.document import Document
from otel_llm.alert_rules.rule import Group, Rule
from otel_llm.conventions.boards import BoardName

FOLDER = Path(__file__).parent / "health"
Category = Literal["gpu", "engine", "gateway", "stack"]


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    record: str
    expr: str


class _Alert(msgspec.Struct, forbid_unknown_fields=True):
    alert: str
    severity: Literal["critical", "warning", "info", "none"]
    expr: str
    summary: str
    description: str
    cause: str
    wait: str = msgspec.field(name="for", default="")
    board: BoardName | None = None
    labels: dict[str, str] = {}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    category: Category
    board: BoardName
    alerts: list[_Alert]
    records: list[_Record] = []


def load(folder: Path = FOLDER) -> tuple[Group, ...]:
    """One group for each file.

    Raises:
        SpecError: a file is wrong, names a series that is not there, or an alert twice.
    """
    groups = []
    seen: set[str] = set()
    for path in sorted(folder.glob("*.yaml")):
        told = document.read(path)[0]
        file = told.convert(_File)
        recorded = {one.record for one in file.records}
        for number, record in enumerate(file.records):
            _check_names(told, f"$.records[{number}]", record.expr, recorded)
        for number, alert in enumerate(file.alerts):
            _check(told, f"$.alerts[{number}]", alert, seen)
            _check_names(told, f"$.alerts[{number}]", alert.expr, recorded)
        groups.append(Group(f"health-{file.category}", _rules(file)))
    return tuple(groups)


def _check(told: Document, path: str, alert: _Alert, seen: set[str]) -> None:
    if alert.alert in seen:
        where = f"{path}.alert"
        raise told.error(where, f"`{alert.alert}` is there twice", "Rename one of them")
    seen.add(alert.alert)
    if alert.wait:
        try:
            durations.seconds(alert.wait)
        except ValueError as error:
            where = f"{path}.for"
            raise told.error(where, str(error), "Mend the duration") from error


def _check_names(told: Document, path: str, expr: str, recorded: set[str]) -> None:
    found = expression.problem(expr, recorded)
    if found is not None:
        where = f"{path}.expr"
        raise told.error(where, *found)


def _rules(file: _File) -> Sequence[Rule]:
    records = [Rule(one.record, one.expr.strip()) for one in file.records]
    return [*records, *(_rule(file, alert) for alert in file.alerts)]


def _rule(file: _File, alert: _Alert) -> Rule:
    return Rule(
        alert.alert,
        alert.expr.strip(),
        {"severity": alert.severity, "category": file.category, **alert.labels},
        durations.seconds(alert.wait) if alert.wait else 0.0,
        {
            "summary": alert.summary,
            "description": " ".join(alert.description.split()),
            "cause": " ".join(alert.cause.split()),
            "board": alert.board or file.board,
        },
    )
