"""Statements of `otel_llm/query/sql`, their places filled with Grafana's macros and variables.

The same file answers the command line, where the server binds its `{name:Type}` places, and a
panel. What a reader chooses goes in percent-encoded and is decoded by ClickHouse, so that no choice
can become SQL. Grafana's own `:sqlstring` doubles quotes and leaves backslashes, with which a text
leaves a literal of ClickHouse.
"""

import re
from typing import Final, TypeAlias

from otel_llm.dashboards.grafana.targets import Sql
from otel_llm.query import sql

_PLACE = re.compile(r"\{(\w+):(\w+(?:\(\w+\))?)\}")
_SINCE = "toUnixTimestamp64Nano($__fromTime_ms)"
_UNTIL = "toUnixTimestamp64Nano($__toTime_ms)"
_EVERY = "toInt64($__interval_s * 1000000000)"
_NUMBERS: Final = frozenset({"target", "ttft_s", "itl_s", "e2e_s"})
_CHOICES: Final = frozenset({"stable", "canary", "trace"})
_ALL_OR_ONE: Final = frozenset({"model", "tenant", "service"})
ALL = ".*"
"""The value of a variable that means all: a pattern for PromQL, and empty in the query layer."""
_LIMIT = 1000
Fixed: TypeAlias = str | int | tuple[str, ...]
"""A value that is the same for all readers."""
_POINTS = 20_000
"""Most rows of series; the newest stay."""


def series(name: str, columns: str, *, where: str = "", **fixed: Fixed) -> Sql:
    """Series over time: one value per stretch of the panel's interval.

    Args:
        name: of the statement; it gives `start_ns`.
        columns: what to take of it, as SQL; text columns name the series.
        where: condition on its columns.
        **fixed: values of its places that are the same for all readers.
    """
    inner = _filled(name, {"every_ns": _EVERY, "limit": str(_POINTS)}, fixed)
    taken = f"SELECT fromUnixTimestamp64Nano(start_ns) AS time, {columns}"
    return Sql(f"{taken}\nFROM (\n{inner}){_condition(where)}\nORDER BY time", "timeseries")


def table(
    name: str,
    columns: str = "*",
    *,
    where: str = "",
    sort: str = "",
    limit: int = _LIMIT,
    last_s: int = 0,
    **fixed: Fixed,
) -> Sql:
    """Rows about the whole time range, or the last of it.

    Args:
        name: of the statement.
        columns: what to take of it, as SQL.
        where: condition on its columns.
        sort: by what the rows come, if not as the statement says.
        limit: most rows.
        last_s: about so many seconds before the range's end at most; 0 for the whole.
        **fixed: values of its places that are the same for all readers.
    """
    values = {"every_ns": "0", "limit": str(limit)}
    if last_s:
        values["since_ns"] = f"greatest({_SINCE}, {before_end(last_s)})"
    inner = _filled(name, values, fixed)
    if columns == "*" and not where:
        return Sql(inner)
    ordered = f"\nORDER BY {sort}" if sort else ""
    return Sql(f"SELECT {columns}\nFROM (\n{inner}){_condition(where)}{ordered}")


def trace(name: str, limit: int) -> Sql:
    """Spans of one trace for the trace view."""
    return Sql(_filled(name, {"limit": str(limit)}, {}), "traces")


def choices(of: str) -> str:
    """The statement that gives the values of a variable, then their texts; all comes first."""
    inner = _filled("choices", {"limit": str(_LIMIT)}, {"of": of})
    every = f"SELECT '{ALL}' AS value, 'all' AS text, 1 AS every, toUInt64(0) AS used"
    each = f"SELECT value, value AS text, 0 AS every, used\nFROM (\n{inner})"
    rows = f"{every}\nUNION ALL\n{each}"
    return f"SELECT value, text\nFROM (\n{rows}\n)\nORDER BY every DESC, used DESC, value"


def services(of: str) -> str:
    """The statement that gives the engine services that a variable offers, the likeliest first."""
    return _filled("services", {"limit": str(_LIMIT)}, {"of": of})


def choice(variable: str) -> str:
    """The text that a reader chose, as SQL."""
    return f"decodeURLComponent('${{{variable}:percentencode}}')"


def before_end(seconds: int) -> str:
    """The moment so long before the end of the time range, in wall nanoseconds, as SQL."""
    return f"{_UNTIL} - {seconds * 1_000_000_000}"


def number(variable: str) -> str:
    """A number that the reader writes, as SQL; 0 if it is none."""
    return f"toFloat64OrZero({choice(variable)})"


def _condition(where: str) -> str:
    return f"\nWHERE {where}" if where else ""


def _filled(name: str, values: dict[str, str], fixed: dict[str, Fixed]) -> str:
    """A statement with a value in each of its places.

    Raises:
        ValueError: a place has none, or a fixed value has no place.
    """
    text = _without_comments(sql.text(f"boards/{name}" if _is_of_boards(name) else name))
    places = {match[1] for match in _PLACE.finditer(text)}
    if strangers := set(fixed) - places:
        message = f"{name}.sql has no place for {', '.join(sorted(strangers))}"
        raise ValueError(message)
    given = values | {key: _literal(value) for key, value in fixed.items()}
    return _PLACE.sub(lambda match: _value(name, match[1], given), text)


def _is_of_boards(name: str) -> bool:
    try:
        sql.text(f"boards/{name}")
    except FileNotFoundError:
        return False
    return True


def _value(name: str, place: str, given: dict[str, str]) -> str:
    if place in given:
        return given[place]
    if place in ("since_ns", "until_ns"):
        return _SINCE if place == "since_ns" else _UNTIL
    if place in _NUMBERS:
        return number(place)
    chosen = choice(place)
    if place in _CHOICES:
        return chosen
    if place in _ALL_OR_ONE:
        return f"if({chosen} = '{ALL}', '', {chosen})"
    message = f"{name}.sql: no value for {{{place}}}. Name it in the board, or make it a variable."
    raise ValueError(message)


def _literal(value: Fixed) -> str:
    if isinstance(value, tuple):
        return f"CAST([{', '.join(map(_literal, value))}], 'Array(String)')"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def _without_comments(text: str) -> str:
    return "".join(line for line in text.splitlines(True) if not line.lstrip().startswith("--"))
