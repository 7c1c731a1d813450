"""The columns of a table as the files make it: those of its CREATE, changed by each ALTER since."""

import re
from collections.abc import Iterator

from otel_llm.exporters.clickhouse.schema.statements import Statement, statements

_BODY = re.compile(r"^\(\n(.*?)^\)$", re.MULTILINE | re.DOTALL)
_NESTED = re.compile(r"^    (\w+) Nested\n    \((.*?)\n    \)[^\n]*$", re.MULTILINE | re.DOTALL)
_INNER = re.compile(r"^        (\w+) (.+?),?$", re.MULTILINE)
_KIND = r"(?P<type>.+?)(?: (?P<default>DEFAULT|MATERIALIZED|ALIAS) .+?)?(?: CODEC\(.+\))?"
_COLUMN = re.compile(rf"    (?!INDEX )`?(?P<name>[\w.]+)`? {_KIND},?")
_CHANGE = re.compile(
    r"^ALTER TABLE \w+ (?P<verb>ADD|MODIFY|DROP) COLUMN (?:IF (?:NOT )?EXISTS )?"
    rf"`?(?P<name>[\w.]+)`?(?: {_KIND}(?: AFTER .+)?)?$",
    re.MULTILINE,
)


def columns(table: str) -> dict[str, str]:
    """Type of each column of a table, with DEFAULT, MATERIALIZED or ALIAS after it where it is so.

    Raises:
        ValueError: a file changes the table's columns in a way that is not understood here.
    """
    made: dict[str, str] = {}
    for statement in statements():
        if statement.table == table and statement.creates:
            made.update(_declared(statement.sql))
        elif statement.table == table and " COLUMN " in statement.sql:
            _change(made, statement)
    return made


def _declared(sql: str) -> Iterator[tuple[str, str]]:
    [body] = _BODY.findall(sql)
    for line in _NESTED.sub(_flat, body).splitlines():
        column = _COLUMN.fullmatch(line)
        if column:
            yield column["name"], _kind(column)


def _flat(nested: "re.Match[str]") -> str:
    return _INNER.sub(rf"    `{nested[1]}.\1` Array(\2)", nested[2]).lstrip("\n")


def _change(made: dict[str, str], statement: Statement) -> None:
    change = _CHANGE.search(statement.sql)
    if change is None:
        message = f"{statement.name}: write ALTER TABLE … ADD, MODIFY or DROP COLUMN in one line"
        raise ValueError(message)
    if change["verb"] == "DROP":
        made.pop(change["name"], None)
    else:
        made[change["name"]] = _kind(change)


def _kind(column: "re.Match[str]") -> str:
    return " ".join(filter(None, (column["type"], column["default"])))
