"""Judge a statement by its parsed form.

The engine's own parser reads the text as data (`parseQueryToJSON`), so nothing runs while judging
and there is no second grammar to fool. What runs afterwards is the very text that was judged. The
JSON is printed back and compared with the parser's own print: a part that the JSON left out would
show as a difference, and is refused.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from otel_llm.exporters.clickhouse.door import grammar, policy
from otel_llm.exporters.clickhouse.door.functions import FunctionTable
from otel_llm.exporters.clickhouse.door.walk import Limits, Walk, refuse
from otel_llm.exporters.clickhouse.engine.embedded import Engine, quote
from otel_llm.exporters.clickhouse.errors import EngineError

_NO_JSON = "does not support JSON serialization"


class Verdict(NamedTuple):
    """What is known of a statement that may run.

    Attributes:
        kind: node type of the statement, or its first words where the engine has no JSON form.
        format: format named in the statement, or None.
    """

    kind: str
    format: str | None


class Judge:
    """Decides which statements pass. Thread-safe.

    Args:
        engine: whose parser is used.
        limits: upper bounds of the settings that a statement may set.
    """

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits
        with engine.session() as handle:
            self._functions = FunctionTable.read(handle)
        self._remembered = lru_cache(maxsize=1024)(self._judge)

    def judge(self, sql: str, database: str, params: Mapping[str, str]) -> Verdict:
        """Let `sql` pass or raise.

        Args:
            sql: exactly one statement; of an INSERT only the part before the data.
            database: the current database, which unqualified names mean.
            params: query parameters, as they will be given with the statement.

        Raises:
            EngineError: 497 if it may not run here, or the parser's own error.
        """
        return self._remembered(sql, database, tuple(sorted(params.items())))

    def check_setting(self, name: str, value: str) -> None:
        """Let a setting from outside the statement pass or raise `EngineError`."""
        self._limits.check(name, value)

    def _judge(self, sql: str, database: str, params: tuple[tuple[str, str], ...]) -> Verdict:
        if "\0" in sql:
            raise EngineError(62, "Syntax error: NUL byte in the statement", "SYNTAX_ERROR")
        try:
            tree, canonical, printed = self._parse(sql)
        except EngineError as error:
            if _NO_JSON not in error.detail:
                raise _own_words(error) from error
            return self._plain(sql, database)
        if tree["type"] not in grammar.STATEMENTS:
            return self._plain(sql, database)
        if printed != canonical:
            refuse("this statement has parts that cannot be checked")
        walk = Walk(self._functions, self._limits, database, dict(params))
        walk.statement(tree)
        return Verdict(str(tree["type"]), _format_of(tree))

    def _parse(self, sql: str) -> tuple[dict[str, Any], str, str]:
        ask = (
            f"WITH {quote(sql)} AS q SELECT parseQueryToJSON(q) AS j, formatQuerySingleLine(q),"
            " formatQuerySingleLine(formatQueryFromJSON(j))"
        )
        tree, canonical, printed = json.loads(self._run(ask))
        return json.loads(tree), canonical, printed

    def _plain(self, sql: str, database: str) -> Verdict:
        (canonical,) = json.loads(self._run(f"SELECT formatQuerySingleLine({quote(sql)})"))
        words = " ".join(canonical.split()[:2])
        found = next(filter(None, (form.match(canonical) for form in grammar.PLAIN)), None)
        if found is None:
            refuse(f"{words} statements")
        names = found.groupdict()
        walk = Walk(self._functions, self._limits, database, {})
        walk.table(names.get("database") or "", names.get("table") or "")
        _check_format(names["format"])
        return Verdict(words, names["format"])

    def _run(self, sql: str) -> bytes:
        with self._engine.session() as handle:
            return handle.run(sql, "JSONCompactEachRow")


def _own_words(error: EngineError) -> EngineError:
    """The parser's error without the query in which the parser was asked."""
    return EngineError(error.code, error.detail.split(": In scope ", 1)[0], error.name)


def _format_of(tree: Mapping[str, Any]) -> str | None:
    node = tree.get("format_ast")
    name = node["name"] if node else tree.get("format")
    _check_format(name)
    return str(name) if name else None


def _check_format(name: str | None) -> None:
    if name and name not in policy.FORMATS:
        refuse(f"format {name} is not allowed")
