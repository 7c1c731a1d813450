"""The engine's own configuration: memory, the disk, and a user that may not leave the tables.

An insert is answered when its part is on the disk (`fsync_after_insert`, `fsync_part_directory`).
Parts are merged when they are ten times the largest, not five (`merge_selector_base`): ADR 8.

ClickHouse checks grants itself, after the door: without `READ ON FILE`, `URL`, `REMOTE`, … no
table function or engine reaches a file or a socket, whatever the statement's text. This is the
second wall. It has known holes that the door alone closes: the scalar function `file()` reads any
file of the process (chDB asks no grant for it and ignores `user_files_path`), and so do INTO
OUTFILE, which writes, and FROM INFILE.
"""

from pathlib import Path

from otel_llm.private_dir import write_file

_ENGINE = """<clickhouse>
  <user_directories><users_xml><path>{users}</path></users_xml></user_directories>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <merge_selector_base>10</merge_selector_base>
  </merge_tree>
</clickhouse>
"""

# What is granted is what the schema, the door and the receiver need. No SOURCES (file, url, s3,
# remote, …), no SYSTEM, no access management, no functions, no named collections, no dictionaries.
_USERS = """<clickhouse>
  <profiles><default>
    <max_memory_usage>{memory}</max_memory_usage>
    <max_bytes_before_external_group_by>{spill}</max_bytes_before_external_group_by>
    <max_bytes_before_external_sort>{spill}</max_bytes_before_external_sort>
    <deduplicate_blocks_in_dependent_materialized_views>1</deduplicate_blocks_in_dependent_materialized_views>
    <session_timezone>UTC</session_timezone>
    <max_partitions_per_insert_block>100</max_partitions_per_insert_block>
    <log_queries>0</log_queries>
    <input_format_values_interpret_expressions>0</input_format_values_interpret_expressions>
    <input_format_values_deduce_templates_of_expressions>0</input_format_values_deduce_templates_of_expressions>
    <allow_introspection_functions>0</allow_introspection_functions>
  </default></profiles>
  <quotas><default/></quotas>
  <users><default>
    <no_password/><profile>default</profile><quota>default</quota>
    <grants>
      <query>GRANT SHOW, SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, TRUNCATE, OPTIMIZE, KILL QUERY ON *.*</query>
      <query>GRANT TABLE ENGINE ON MergeTree, TABLE ENGINE ON ReplacingMergeTree, TABLE ENGINE ON SummingMergeTree, TABLE ENGINE ON AggregatingMergeTree, TABLE ENGINE ON CollapsingMergeTree, TABLE ENGINE ON VersionedCollapsingMergeTree, TABLE ENGINE ON CoalescingMergeTree, TABLE ENGINE ON Null</query>
    </grants>
  </default></users>
</clickhouse>
"""  # noqa: E501  the grants are one statement each


def write_config(directory: Path, memory_bytes: int) -> Path:
    """Write the engine's two files and return the path of the first.

    Args:
        directory: where to write; readable by the owner alone.
        memory_bytes: limit for the whole engine; one query may take it all but an eighth.
    """
    users, engine = directory / "users.xml", directory / "engine.xml"
    per_query = memory_bytes - memory_bytes // 8
    write_file(users, _USERS.format(memory=per_query, spill=memory_bytes // 4))
    write_file(engine, _ENGINE.format(users=users, memory=memory_bytes))
    return engine
