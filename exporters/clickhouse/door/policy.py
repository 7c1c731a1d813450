"""What the door lets through, as data. Whatever is not named here is refused.

Sources: ClickHouse's own tables of functions, settings and formats (system.functions,
system.settings, system.formats) of version 26.9.
"""

TABLE_FUNCTIONS = frozenset({"numbers", "values", "view"})

_KINDS = (
    "", "Replacing", "Summing", "Aggregating", "Collapsing", "VersionedCollapsing", "Coalescing",
)  # fmt: skip
TABLE_ENGINES = frozenset(f"{kind}MergeTree" for kind in _KINDS)
DATABASE_ENGINES = frozenset({"Atomic"})

# Categories of system.functions whose members compute from their arguments alone.
FUNCTION_CATEGORIES = frozenset(
    {
        "Arithmetic", "Arrays", "Bit", "Bitmap", "Comparison", "Conditional", "Dates and Times",
        "Distance", "Encoding", "Financial", "Hash", "IP Address", "JSON", "Logical", "Map",
        "Mathematical", "Null", "Random Number", "Rounding", "String", "String Replacement",
        "String Search", "String Splitting", "Time Window", "Tuple", "Type Conversion", "URL",
        "UUID",
    }
)  # fmt: skip
# Of the mixed categories, the harmless ones by name; and names the parser itself makes.
FUNCTIONS = frozenset(
    {
        "bar", "blockNumber", "blockSize", "byteSize", "countDigits", "currentDatabase",
        "currentUser", "defaultValueOfTypeName", "digits", "displayName", "errorCodeToName",
        "finalizeAggregation", "formatQuerySingleLine", "formatReadableDecimalSize",
        "formatReadableQuantity", "formatReadableSize", "formatReadableTimeDelta", "hostName",
        "identity", "ignore", "indexHint", "initializeAggregation", "isConstant",
        "isDecimalOverflow", "lowCardinalityIndices", "lowCardinalityKeys", "materialize",
        "minSampleSizeContinuous", "minSampleSizeConversion", "neighbor", "normalizeQuery",
        "normalizedQueryHash", "parseReadableSize", "parseReadableSizeOrNull",
        "parseReadableSizeOrZero", "parseTimeDelta", "partitionId", "queryID", "revision",
        "rowNumberInAllBlocks", "rowNumberInBlock", "runningAccumulate", "runningDifference",
        "throwIf", "toColumnTypeName", "toTypeName", "tokenizeQuery", "transform", "uptime",
        "variantElement", "variantType", "version", "visibleWidth", "_CAST", "nested", "grouping",
        "lambda", "exists", "not",
    }
)  # fmt: skip
# In an allowed category, yet they read settings that name files, or tables by string.
FORBIDDEN_FUNCTIONS = frozenset({"formatRow", "formatRowNoNewline", "chdb", "currentSchemas"})

CODECS = frozenset(
    {
        "CODEC", "NONE", "LZ4", "LZ4HC", "ZSTD", "Delta", "DoubleDelta", "Gorilla", "T64", "GCD",
        "FPC", "Default",
    }
)  # fmt: skip
INDEX_TYPES = frozenset(
    {
        "minmax", "set", "bloom_filter", "tokenbf_v1", "ngrambf_v1", "text", "inverted",
        "hypothesis",
    }
)  # fmt: skip

SYSTEM_TABLES = frozenset(
    {
        "aggregate_function_combinators", "asynchronous_metrics", "clusters", "collations",
        "columns", "current_roles", "data_skipping_indices", "data_type_families", "databases",
        "dictionaries", "enabled_roles", "events", "formats", "functions", "keywords", "macros",
        "merge_tree_settings", "merges", "metrics", "mutations", "numbers", "one", "parts",
        "parts_columns", "projections", "settings", "table_engines", "table_functions", "tables",
        "time_zones", "zeros",
    }
)  # fmt: skip

FORMATS = frozenset(
    {
        "Arrow", "ArrowStream", "CSV", "CSVWithNames", "CSVWithNamesAndTypes", "JSON",
        "JSONColumns", "JSONColumnsWithMetadata", "JSONCompact", "JSONCompactColumns",
        "JSONCompactEachRow", "JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes",
        "JSONCompactStrings", "JSONEachRow", "JSONEachRowWithProgress", "JSONLines",
        "JSONObjectEachRow", "JSONStrings", "JSONStringsEachRow", "Markdown", "NDJSON", "Native",
        "Null", "Parquet", "Pretty", "PrettyCompact", "PrettyCompactMonoBlock",
        "PrettyCompactNoEscapes", "PrettyNoEscapes", "PrettySpace", "RowBinary",
        "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "TSKV", "TSV", "TSVRaw",
        "TSVRawWithNames", "TSVWithNames", "TSVWithNamesAndTypes", "TabSeparated",
        "TabSeparatedRaw", "TabSeparatedRawWithNames", "TabSeparatedWithNames",
        "TabSeparatedWithNamesAndTypes", "Values", "Vertical", "XML",
    }
)  # fmt: skip

# Settings a statement or a URL may set. None names a file, an address or another format's schema.
QUERY_SETTINGS = frozenset(
    {
        "allow_experimental_analyzer", "allow_suspicious_low_cardinality_types",
        "any_join_distinct_right_table_keys", "async_insert", "async_insert_busy_timeout_ms",
        "cast_keep_nullable", "cast_string_to_dynamic_use_inference",
        "count_distinct_implementation", "data_type_default_nullable", "date_time_input_format",
        "date_time_output_format", "deduplicate_blocks_in_dependent_materialized_views",
        "distributed_foreground_insert", "do_not_merge_across_partitions_select_final",
        "enable_analyzer",
        "enable_optimize_predicate_expression", "enable_time_time64_type", "extremes", "final",
        "flatten_nested", "force_index_by_date", "force_primary_key", "group_by_overflow_mode",
        "group_by_two_level_threshold", "insert_deduplicate", "insert_deduplication_token",
        "insert_null_as_default", "join_algorithm", "join_use_nulls", "limit", "log_comment",
        "log_queries", "low_cardinality_allow_in_native_format", "max_ast_depth",
        "max_ast_elements", "max_block_size", "max_bytes_to_read", "max_columns_to_read",
        "max_estimated_execution_time", "max_execution_time", "max_insert_block_size",
        "max_memory_usage", "max_partitions_per_insert_block", "max_result_bytes",
        "max_result_rows", "max_rows_to_group_by", "max_rows_to_read", "max_subquery_depth",
        "max_threads", "min_insert_block_size_bytes", "min_insert_block_size_rows", "offset",
        "optimize_move_to_prewhere", "optimize_read_in_order", "optimize_skip_unused_shards",
        "prefer_column_name_to_alias", "priority", "read_overflow_mode", "result_overflow_mode",
        "select_sequential_consistency", "throw_on_max_partitions_per_insert_block",
        "timeout_overflow_mode", "totals_mode", "transform_null_in", "union_default_mode",
        "use_skip_indexes", "use_skip_indexes_if_final", "use_skip_indexes_on_data_read",
        "use_uncompressed_cache", "wait_for_async_insert", "wait_for_async_insert_timeout",
        "wait_end_of_query",
    }
)  # fmt: skip
SETTING_PREFIXES = ("output_format_", "input_format_")
# With these the Values format evaluates expressions found in the data.
FORBIDDEN_SETTINGS = frozenset(
    {
        "input_format_values_interpret_expressions",
        "input_format_values_deduce_templates_of_expressions",
    }
)  # fmt: skip
# A prefix above would let these in, but they hold a schema, an address or a path.
SETTING_STEMS = ("schema", "registry", "path", "template", "file", "url", "connection", "host")

TABLE_SETTINGS = frozenset(
    {
        "allow_nullable_key", "deduplicate_merge_projection_mode", "enable_block_number_column",
        "enable_block_offset_column", "enable_mixed_granularity_parts", "index_granularity",
        "index_granularity_bytes", "lightweight_mutation_projection_mode",
        "materialize_ttl_recalculate_only", "max_suspicious_broken_parts",
        "merge_with_ttl_timeout", "min_bytes_for_wide_part", "min_rows_for_wide_part",
        "non_replicated_deduplication_window", "parts_to_delay_insert", "parts_to_throw_insert",
        "replicated_deduplication_window", "ttl_only_drop_parts",
    }
)  # fmt: skip

EXPLAIN_KINDS = frozenset(
    f"EXPLAIN{what}" for what in ("", " AST", " ESTIMATE", " PIPELINE", " QUERY TREE", " SYNTAX")
)
# None takes rows away, as MODIFY_TTL would, nor lets rows be doubled or inserts fail, as
# MODIFY_SETTING would with the deduplication window and the bounds on parts.
ALTER_COMMANDS = frozenset({"ADD_COLUMN", "ADD_INDEX", "COMMENT_COLUMN"})
