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
from otel_llm.exporters.clickhouse.engine.incoming import INCOMING
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
        self._inserts = lru_cache(maxsize=256)(self._judge_insert)

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

    def judge_insert(
        self, statement: str, fmt: str, database: str, params: Mapping[str, str]
    ) -> str:
        """Let an INSERT with data pass or raise.

        Args:
            statement: the INSERT without its FORMAT clause.
            fmt: format of the data.
            database: the current database.
            params: query parameters.

        Returns:
            The statement to run, in the engine's own print, with `INCOMING` for the data.

        Raises:
            EngineError: 497 if it may not run here, or the parser's own error.
        """
        return self._inserts(f"{statement}\nFORMAT {fmt}", database, tuple(sorted(params.items())))

    def setting(self, name: str, value: str) -> str:
        """The value to use for a setting from outside the statement, within its bound.

        Raises:
            EngineError: 497 if the setting may not be set here.
        """
        return self._limits.clamp(name, value)

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

    def _judge_insert(self, sql: str, database: str, params: tuple[tuple[str, str], ...]) -> str:
        if self._judge(sql, database, params).kind != "InsertQuery":
            refuse("data for other than INSERT")
        tree = self._parse(sql)[0]
        tree["infile"] = _literal(INCOMING.strip("'"))
        tree["compression"] = _literal("none")
        # Printed by the engine, and read again to see that the print is the tree that was judged.
        printed = json.loads(self._run(f"SELECT formatQueryFromJSON({quote(json.dumps(tree))})"))[0]
        if self._parse(printed)[0] != tree or printed.count(INCOMING) != 1:
            refuse("this INSERT has parts that cannot be checked")
        return str(printed)

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


def _literal(text: str) -> dict[str, Any]:
    return {"type": "Literal", "value": {"field_type": "String", "value": text}}


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
