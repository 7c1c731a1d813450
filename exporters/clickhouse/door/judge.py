"""Judge a statement by its parsed form.

The engine's own parser reads the text as data (`parseQueryToJSON`), so nothing runs while judging
and there is no second grammar to fool. What runs afterwards is the very text that was judged. The
JSON is printed back and compared with the parser's own print: a part that the JSON left out would
show as a difference, and is refused. Parentheses alone are no part.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
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


class _Parsed(NamedTuple):
    """What the engine's parser says of a text: its tree, if it has one, and its own print."""

    tree: dict[str, Any] | None
    canonical: str


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
        # What the parser says of a text never changes; the walk is done each time.
        self._parsed = lru_cache(maxsize=256)(self._parse)
        self._printed = lru_cache(maxsize=256)(self._print_insert)

    def judge(self, sql: str, database: str, params: Mapping[str, str]) -> Verdict:
        """Let `sql` pass or raise.

        Args:
            sql: exactly one statement; of an INSERT only the part before the data.
            database: the current database, which unqualified names mean.
            params: query parameters, as they will be given with the statement.

        Raises:
            EngineError: 497 if it may not run here, or the parser's own error.
        """
        walk = Walk(self._functions, self._limits, database, params)
        with _not_too_deep():
            parsed = self._parsed(sql)
            if parsed.tree is None:
                return self._plain(parsed.canonical, walk)
            walk.statement(parsed.tree)
            return Verdict(str(parsed.tree["type"]), _format_of(parsed.tree))

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
        sql = f"{statement}\nFORMAT {fmt}"
        if self.judge(sql, database, params).kind != "InsertQuery":
            refuse("data for other than INSERT")
        with _not_too_deep():
            return self._printed(sql)

    def setting(self, name: str, value: str) -> str:
        """The value to use for a setting from outside the statement, within its bound.

        Raises:
            EngineError: 497 if the setting may not be set here.
        """
        return self._limits.clamp(name, value)

    def _print_insert(self, sql: str) -> str:
        tree = {
            **(self._parsed(sql).tree or {}),
            "infile": _literal(INCOMING.strip("'")),
            "compression": _literal("none"),
        }
        # Printed by the engine, and read again to see that the print is the tree that was judged.
        ask = f"SELECT formatQueryFromJSON({quote(json.dumps(tree))})"
        (printed,) = json.loads(self._run(ask))
        if self._parse(printed).tree != tree or printed.count(INCOMING) != 1:
            refuse("this INSERT has parts that cannot be checked")
        return str(printed)

    def _parse(self, sql: str) -> "_Parsed":
        """Read a statement as data.

        Raises:
            EngineError: it is not one statement, or its tree does not say all of it.
        """
        if "\0" in sql:
            raise EngineError(62, "Syntax error: NUL byte in the statement", "SYNTAX_ERROR")
        ask = (
            f"WITH {quote(sql)} AS q SELECT parseQueryToJSON(q) AS j, formatQuerySingleLine(q),"
            " formatQuerySingleLine(formatQueryFromJSON(j))"
        )
        try:
            json_text, canonical, printed = json.loads(self._run(ask))
        except EngineError as error:
            if _NO_JSON not in error.detail:
                raise _own_words(error) from error
            (canonical,) = json.loads(self._run(f"SELECT formatQuerySingleLine({quote(sql)})"))
            return _Parsed(None, canonical)
        tree = json.loads(json_text)
        if tree["type"] not in grammar.STATEMENTS:
            return _Parsed(None, canonical)
        if _tokens(printed) != _tokens(canonical):
            refuse("this statement has parts that cannot be checked")
        return _Parsed(tree, canonical)

    def _plain(self, canonical: str, walk: Walk) -> Verdict:
        """Judge a statement that has no tree by its canonical print."""
        words = " ".join(canonical.split()[:2])
        found = next(filter(None, (form.match(canonical) for form in grammar.PLAIN)), None)
        if found is None:
            refuse(f"{words} statements")
        names = found.groupdict()
        walk.table(names.get("database") or "", names.get("table") or "")
        _check_format(names["format"])
        return Verdict(words, names["format"])

    def _run(self, sql: str) -> bytes:
        with self._engine.session() as handle:
            return handle.run(sql, "JSONCompactEachRow")


@contextlib.contextmanager
def _not_too_deep() -> Iterator[None]:
    """A statement that is nested deeper than Python can follow is not judged, so it may not run."""
    try:
        yield
    except RecursionError as error:
        detail = "the statement is nested too deeply. Give parts of it names, with WITH … AS"
        raise EngineError(306, detail, "TOO_DEEP_RECURSION") from error


def _tokens(sql: str) -> list[str]:
    """Everything in a print but spaces and parentheses.

    The engine remembers parentheses that change nothing, `(a) > (0)`, and its JSON does not.
    """
    return _TOKEN.findall(sql)


_TOKEN = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|[\w.]+|[^\s\w()]""", re.DOTALL
)


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
