"""Walk the parsed form of one statement and refuse what policy and grammar do not name."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from otel_llm.exporters.clickhouse.door import grammar, policy
from otel_llm.exporters.clickhouse.door.functions import FunctionTable
from otel_llm.exporters.clickhouse.errors import ACCESS_DENIED, EngineError

Node = Mapping[str, Any]
_CODEC = "ColumnDeclaration.codec"
_TARGET_KEYS = frozenset({"kind", "table_database", "table_name", "inner_engine"})
_FOREIGN = frozenset({"system", "default", "information_schema"})
_PLAIN_NAME = re.compile(r"\w+\Z", re.ASCII)
_TABLE_NAME = re.compile(r"[\w.-]*\Z", re.ASCII)
_IN = re.compile(r"(?:global)?(?:not)?(?:null)?in(?:ignoreset)?\Z", re.IGNORECASE)

# A structure such as "a Int8, b Array(String)", once quotes and parentheses are taken out.
_QUOTED = re.compile(r"'[\w/+ -]*'", re.ASCII)
_PARENS = re.compile(r"\([\w\s,=-]*\)", re.ASCII)
_STRUCTURE = re.compile(r"\s*\w+\s+\w+\s*(?:,\s*\w+\s+\w+\s*)*\Z", re.ASCII)
_DEEPEST_TYPE = 20  # nested types; each level is one more look at the text
_COLUMN_KINDS = re.compile(r"\b(?:default|materialized|alias|ephemeral)\b", re.IGNORECASE)


def refuse(what: str) -> NoReturn:
    """Raise the error a caller gets for a statement that may not run here."""
    detail = f"Not allowed on the embedded store: {what}. See docs/embedded-store.md"
    raise EngineError(ACCESS_DENIED, detail, "ACCESS_DENIED")


class Limits(NamedTuple):
    """Upper bounds of settings; a caller may tighten but not widen or lift them.

    Attributes:
        bounds: largest value by setting name; zero, which means without limit, is refused too.
    """

    bounds: Mapping[str, float]

    def check(self, name: str, value: object) -> None:
        """Refuse a setting that is not allowed, or is set beyond its bound."""
        allowed = name in policy.QUERY_SETTINGS or name.startswith(policy.SETTING_PREFIXES)
        banned = name in policy.FORBIDDEN_SETTINGS or any(s in name for s in policy.SETTING_STEMS)
        if banned or not allowed:
            refuse(f"setting {name}")
        if not self._within(name, value):
            refuse(f"{name} = {value}; it must be above 0 and at most {self.bounds[name]:g}")

    def clamp(self, name: str, value: str) -> str:
        """The value to use for a setting from outside the statement: its bound at most.

        Drivers derive such settings from time limits of their own, and mean no harm.
        """
        self.check(name, self.bounds.get(name, value))
        return value if self._within(name, value) else f"{self.bounds[name]:.0f}"

    def _within(self, name: str, value: object) -> bool:
        bound = self.bounds.get(name)
        if bound is None:
            return True
        try:
            return 0 < float(str(value)) <= bound
        except ValueError:
            return False


class Walk:
    """One walk over one statement.

    Args:
        functions: the functions it may call.
        limits: bounds of the settings it may set.
        database: what unqualified table names mean.
        params: query parameters.
    """

    def __init__(
        self, functions: FunctionTable, limits: Limits, database: str, params: Mapping[str, str]
    ) -> None:
        self._functions = functions
        self._limits = limits
        self._database = database
        self._params = params
        self._places: dict[str, Callable[[Node], None]] = {
            _CODEC: _named("codec", policy.CODECS),
            "ExplainQuery.settings": self._explain_settings,
            "IndexDeclaration.index_type": _named("index type", policy.INDEX_TYPES),
            "Storage.engine": _named("engine", policy.TABLE_ENGINES | policy.DATABASE_ENGINES),
            "Storage.settings": self._table_settings,
            "TableExpression.table_function": self._table_function,
        }
        self._checks: dict[str, Callable[[Node], None]] = {
            "AlterCommand": self._alter,
            "AlterQuery": self._target,
            "ColumnsApplyTransformer": self._apply,
            "CreateQuery": self._create,
            "ExplainQuery": self._explain,
            "Function": self._call,
            "Identifier": self._identifier,
            "InsertQuery": self._insert,
            "QueryParameter": self._parameter,
            "SetQuery": self._settings,
            "TableIdentifier": self._table_identifier,
        }

    def statement(self, tree: Node) -> None:
        """Check a whole statement.

        Raises:
            EngineError: 497, naming what is not allowed.
        """
        if tree.get("type") not in grammar.STATEMENTS:
            refuse(f"{tree.get('type')} statements")
        self._node(tree)

    def table(self, database: str, table: str) -> None:
        """Check a table's name."""
        database = database or self._database
        folded = database.lower()
        if folded == "system":
            if table and table not in policy.SYSTEM_TABLES:
                refuse(f"table system.{table}")
        elif folded == "default":
            refuse("database default; leave the database out, the store's tables are in its own")
        elif not _PLAIN_NAME.match(database):
            refuse(f"database {database!r}")
        elif not _TABLE_NAME.match(table):
            refuse(f"table {table!r}")

    def _node(self, node: Node, role: str = "") -> None:
        """Check one node; `role` is its place, as in "Storage.engine"."""
        kind = node.get("type", "")
        if kind:
            self._known(kind, node)
            special = self._places.get(role) if kind in ("Function", "SetQuery") else None
            check = special or self._checks.get(kind)
            if check is not None:
                check(node)
        for key, value in node.items():
            # What stands inside a codec is a codec.
            self._value(value, role if role == _CODEC else f"{kind}.{key}")
            if value is True and key in grammar.FLAGS_OFF:
                refuse(key.replace("_", " "))

    def _value(self, value: object, role: str) -> None:
        if isinstance(value, Mapping):
            self._node(value, role)
        elif isinstance(value, list):
            for item in value:
                self._value(item, role)

    def _known(self, kind: str, node: Node) -> None:
        keys = grammar.KEYS.get(kind)
        if keys is None:
            if kind not in grammar.EXPRESSIONS:
                refuse(f"{kind} in a statement")
        elif unknown := sorted(node.keys() - keys):
            refuse(f"{', '.join(unknown)} in {kind}")

    def _call(self, node: Node) -> None:
        name = node["name"]
        if not self._functions.allows(name):
            refuse(f"function {name}")
        if _IN.match(name):
            for item in node.get("arguments", {}).get("children", [])[1:]:
                if item.get("type") == "Identifier":
                    self._table_identifier(item)

    def _identifier(self, node: Node) -> None:
        """A bare name may be a column or, as an argument, a function."""
        parts = self._parts(node)
        if len(parts) == 1:
            self._bare(parts[0])

    def _bare(self, name: str) -> None:
        if self._functions.forbids(name):
            refuse(f"function {name}; if it is a column, put its table before it: t.{name}")

    def _table_function(self, node: Node) -> None:
        _named("table function", policy.TABLE_FUNCTIONS)(node)
        arguments = node.get("arguments", {}).get("children", [])
        if node["name"].lower() == "values" and arguments and not _plain_values(arguments[0]):
            refuse("values() with a structure of other than names and types")

    def _apply(self, node: Node) -> None:
        name = node.get("func_name")
        if name and not self._functions.allows(name):
            refuse(f"function {name}")

    def _table_identifier(self, node: Node) -> None:
        parts = self._parts(node)
        self.table(parts[0] if len(parts) > 1 else "", parts[1 if len(parts) > 1 else 0])

    def _parts(self, node: Node) -> list[str]:
        """The parts of a dotted name, with those that are parameters filled in."""
        given = [self._name_of(child) for child in node.get("children", [])]
        names = node.get("name_parts") or [node["name"]]
        return [part or (given.pop(0) if given else "") for part in names]

    def _name_of(self, node: Node) -> str:
        if node.get("type") != "QueryParameter" or node["name"] not in self._params:
            refuse("a name that is not given")
        return self._params[node["name"]]

    def _parameter(self, node: Node) -> None:
        value = self._params.get(node["name"], "")
        if "Identifier" in node["param_type"]:
            if not _PLAIN_NAME.match(value):
                refuse(f"parameter {node['name']}: a name may hold letters, digits and _ only")
            self._bare(value)

    def _insert(self, node: Node) -> None:
        if "table" not in node:
            refuse("INSERT without a table")
        self._own({**node, "database": _text(node.get("database"))})

    def _target(self, node: Node) -> None:
        if node.get("alter_object") != "TABLE":
            refuse("ALTER of other than a table")
        self._own(node)

    def _own(self, node: Node) -> None:
        """The table or database that a statement changes: never the engine's own."""
        for key in ("database", "table", "database_ast", "table_ast"):
            if isinstance(node.get(key), Mapping) and node[key].get("children"):
                refuse("a parameter as the name of what is changed")
        if (node.get("database") or self._database).lower() in _FOREIGN:
            refuse(f"changing database {node.get('database') or self._database}")

    def _create(self, node: Node) -> None:
        self._own(node)
        if "as_table" in node:
            self.table(_text(node.get("as_database")), _text(node["as_table"]))
        engine = (node.get("storage") or {}).get("engine")
        if not node.get("table") and engine and engine["name"] not in policy.DATABASE_ENGINES:
            refuse(f"database engine {engine['name']}")
        for target in (node.get("targets") or {}).get("targets", []):
            if unknown := sorted(target.keys() - _TARGET_KEYS):
                refuse(f"{', '.join(unknown)} in a view's target")
            self._own({"database": target.get("table_database", "")})

    def _alter(self, node: Node) -> None:
        if node["command_type"] not in policy.ALTER_COMMANDS:
            refuse(f"ALTER {node['command_type'].replace('_', ' ')}")

    def _explain(self, node: Node) -> None:
        if node["kind"] not in policy.EXPLAIN_KINDS:
            refuse(node["kind"])
        if node.get("query", {}).get("type") != "SelectWithUnionQuery":
            refuse("EXPLAIN of other than SELECT")

    def _explain_settings(self, node: Node) -> None:
        for change in node["changes"]:
            if not isinstance(change["value"].get("value"), int):
                refuse(f"EXPLAIN {change['name']} of other than a number")

    def _table_settings(self, node: Node) -> None:
        for change in node["changes"]:
            if change["name"] not in policy.TABLE_SETTINGS:
                refuse(f"table setting {change['name']}")

    def _settings(self, node: Node) -> None:
        for change in node["changes"]:
            self._limits.check(change["name"], change["value"].get("value"))


def _named(what: str, allowed: frozenset[str]) -> Callable[[Node], None]:
    """A check of a function-like node that is a name, such as an engine or a codec."""

    def check(node: Node) -> None:
        if node["name"] not in allowed and node["name"].lower() not in allowed:
            refuse(f"{what} {node['name']}")

    return check


def _plain_values(first: Node) -> bool:
    """Whether the first argument of `values` holds no expression in a text.

    A structure is parsed as a table's columns are, so `b String ALIAS file('…')` would run.
    """
    if first.get("type") == "Function":
        return bool(first["name"] == "tuple")
    if first.get("type") != "Literal":
        return False
    value = first["value"]
    if not isinstance(value, Mapping):
        return True
    text = value.get("value")
    if value.get("field_type") != "String" or not isinstance(text, str):
        return value.get("field_type") != "String"
    bare = _QUOTED.sub("0", text)
    for _ in range(_DEEPEST_TYPE):
        bare = _PARENS.sub("", bare)
    return bool(_STRUCTURE.match(bare)) and not _COLUMN_KINDS.search(text)


def _text(value: object) -> str:
    """A name that is a node in some statements and plain text in others."""
    if isinstance(value, Mapping):
        return str(value.get("name", ""))
    return str(value or "")
