"""Shape of the statements let through: node types, their keys, and the flags that must be off.

The node types are those of ClickHouse's `parseQueryToJSON`. A type or key missing here is refused,
so a statement form that a later ClickHouse adds stays outside until somebody has looked at it.
"""

import re

_OUTPUT = {
    "type", "format_ast", "settings_ast", "is_outfile_append", "is_outfile_truncate",
    "is_into_outfile_with_stdout",
}  # fmt: skip

# Statement nodes: exactly these keys.
KEYS: dict[str, frozenset[str]] = {
    "SelectWithUnionQuery": frozenset(_OUTPUT | {"union_mode", "list_of_modes", "list_of_selects"}),
    "SelectIntersectExceptQuery": frozenset(_OUTPUT | {"children", "final_operator", "operator"}),
    "InsertQuery": frozenset(
        {"type", "table", "database", "columns", "format", "select", "settings_ast"}
    ),
    "CreateQuery": frozenset(
        _OUTPUT
        | {
            "as_database", "as_table", "attach", "columns_list", "comment", "create_or_replace",
            "database", "database_ast", "has_attach_from_path", "has_inner_uuid_clause", "has_uuid",
            "has_uuid_clause", "if_not_exists", "is_clone_as", "is_create_empty", "is_dictionary",
            "is_materialized_view", "is_ordinary_view", "is_populate", "is_time_series_table",
            "replace_table", "replace_view", "select", "storage", "table", "table_ast", "targets",
        }
    ),
    "AlterQuery": frozenset(
        _OUTPUT | {"alter_object", "command_list", "database", "database_ast", "table", "table_ast"}
    ),
    "AlterCommand": frozenset(
        {
            "type", "command_type", "detach", "part", "clear_column", "clear_index",
            "clear_statistics", "clear_projection", "if_not_exists", "if_exists", "first",
            "replace", "col_decl", "column", "index_decl", "index", "settings_changes", "ttl",
            "comment",
        }
    ),
    "ExplainQuery": frozenset(_OUTPUT | {"kind", "query", "settings"}),
    "Storage": frozenset(
        {
            "type", "engine", "order_by", "partition_by", "primary_key", "sample_by", "settings",
            "ttl_table",
        }
    ),
    "TTLElement": frozenset({"type", "mode", "destination_type", "if_exists", "ttl_expr"}),
    "SetQuery": frozenset({"type", "changes"}),
    "TableExpression": frozenset(
        {
            "type", "database_and_table_name", "final", "sample_offset", "sample_size", "subquery",
            "table_function", "column_aliases",
        }
    ),
    "ColumnsApplyTransformer": frozenset(
        {"type", "func_name", "parameters", "lambda", "lambda_arg"}
    ),
    "ViewTargets": frozenset({"type", "targets"}),
}  # fmt: skip

FLAGS_OFF = frozenset(
    {
        "attach", "has_attach_from_path", "has_uuid", "has_uuid_clause", "has_inner_uuid_clause",
        "is_dictionary", "is_time_series_table", "is_clone_as", "is_outfile_append",
        "is_outfile_truncate", "is_into_outfile_with_stdout", "detach", "part", "is_populate",
        # These drop a table that has the name, also CREATE OR REPLACE VIEW.
        "create_or_replace", "replace_table", "replace_view",
    }
)  # fmt: skip

# Nodes inside statements: any keys, for their children are walked whatever the key.
EXPRESSIONS = frozenset(
    {
        "ArrayJoin", "Asterisk", "ColumnDeclaration", "Columns definition",
        "ColumnsExceptTransformer", "ColumnsListMatcher", "ColumnsRegexpMatcher",
        "ColumnsReplaceTransformer", "ColumnsReplaceTransformerReplacement",
        "ColumnsTransformerList", "DataType", "ExpressionList", "Function", "Identifier",
        "IndexDeclaration", "InterpolateElement", "Literal", "NameTypePair", "OrderByElement",
        "QualifiedAsterisk", "QualifiedColumnsListMatcher", "QualifiedColumnsRegexpMatcher",
        "QueryParameter", "SampleRatio", "SelectQuery", "StorageOrderByElement", "Subquery",
        "TableIdentifier", "TableJoin", "TablesInSelectQuery", "TablesInSelectQueryElement",
        "WindowDefinition", "WindowListElement", "WithElement",
    }
)  # fmt: skip

STATEMENTS = frozenset(
    {
        "SelectWithUnionQuery", "SelectIntersectExceptQuery", "InsertQuery", "CreateQuery",
        "AlterQuery", "ExplainQuery",
    }
)  # fmt: skip

# Statements for which the engine has no JSON form: judged by its canonical print, in full.
_NAME = r"(?:(?P<database>\w+)\.)?(?P<table>\w+)"
_LIKE = r"(?: (?:NOT )?I?LIKE '[\w%. -]*')?(?: LIMIT \d+)?"
_FORMAT = r"(?: FORMAT (?P<format>\w+))?"
PLAIN: tuple[re.Pattern[str], ...] = tuple(
    re.compile(form + _FORMAT + r"\Z", re.ASCII)
    for form in (
        rf"DESCRIBE TABLE {_NAME}",
        rf"EXISTS (?:TABLE|VIEW) {_NAME}",
        r"EXISTS DATABASE (?P<database>\w+)",
        rf"SHOW CREATE (?:TABLE|VIEW) {_NAME}",
        r"SHOW CREATE DATABASE (?P<database>\w+)",
        rf"SHOW (?:FULL )?TABLES(?: FROM (?P<database>\w+))?{_LIKE}",
        rf"SHOW DATABASES{_LIKE}",
        rf"SHOW (?:FULL )?COLUMNS FROM (?P<table>\w+)(?: FROM (?P<database>\w+))?{_LIKE}",
        rf"SHOW SETTINGS{_LIKE}",
        rf"SHOW FUNCTIONS{_LIKE}",
    )
)
