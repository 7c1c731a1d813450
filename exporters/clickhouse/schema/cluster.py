"""The same statements for a cluster, made from the text of the files.

Each table becomes two: `NAME_local`, replicated, on every shard, and `NAME`, which spreads inserts
over the shards and reads from all; an ALTER of columns changes both, any other the local one, which
has keys, indexes and settings. Materialized views run beside the local tables, so that a shard
rolls up its own rows. Views read the distributed tables.
"""

import re

from otel_llm.exporters.clickhouse.schema.statements import Statement

LOCAL = "_local"
_PATH = "/clickhouse/tables/{shard}/{database}/{table}"
_ENGINE = re.compile(r"^ENGINE = (\w*MergeTree)(?:\((.*)\))?", re.MULTILINE)
_SOURCE = re.compile(r"^FROM (\w+)", re.MULTILINE)
_OF_COLUMNS = re.compile(r"^ALTER TABLE \w+ \w+ COLUMN ", re.MULTILINE)
_TARGET = re.compile(r" TO (\w+) AS$", re.MULTILINE)


def rendered(statement: Statement, cluster: str, database: str) -> tuple[str, ...]:
    """What is run for a file: its text, or what `on_cluster` makes of it."""
    return on_cluster(statement, cluster, database) if cluster else (statement.sql,)


def names(statement: Statement, cluster: str) -> tuple[str, ...]:
    """Under which names a server has the file's table or view."""
    alone = statement.of_view or not cluster
    return (statement.table,) if alone else (statement.table + LOCAL, statement.table)


def on_cluster(statement: Statement, cluster: str, database: str) -> tuple[str, ...]:
    """What makes or changes the statement's table or view on all servers of a cluster.

    Args:
        statement: a file of the schema.
        cluster: name of the cluster in the servers' configuration.
        database: database of the tables; it must exist on every server.

    Returns:
        One or two statements.
    """
    everywhere = f"ON CLUSTER {quoted(cluster)}"
    if statement.creates is None:
        return _altered(statement, everywhere)
    kind, name = statement.creates
    if kind == "VIEW":
        return (_renamed(statement.sql, name, f"{name} {everywhere}"),)
    if kind == "MATERIALIZED VIEW":
        sql = _TARGET.sub(rf" TO \1{LOCAL} AS", _from_local(statement.sql))
        return (_renamed(sql, name, f"{name} {everywhere}"),)
    local = _renamed(replicated(statement.sql), name, f"{name}{LOCAL} {everywhere}")
    shard = f", {statement.shard_by}" if statement.shard_by else ""
    place = f"{quoted(cluster)}, {quoted(database)}, {quoted(name + LOCAL)}{shard}"
    distributed = (
        f"CREATE TABLE IF NOT EXISTS {name} {everywhere} AS {name}{LOCAL}\n"
        f"ENGINE = Distributed({place})"
    )
    return local, distributed


def _altered(statement: Statement, everywhere: str) -> tuple[str, ...]:
    table = f"ALTER TABLE {statement.table}"
    if statement.of_view:
        return (_from_local(statement.sql).replace(table, f"{table} {everywhere}", 1),)
    local = statement.sql.replace(table, f"{table}{LOCAL} {everywhere}", 1)
    if not _OF_COLUMNS.search(statement.sql):
        return (local,)
    return local, statement.sql.replace(table, f"{table} {everywhere}", 1)


def _from_local(sql: str) -> str:
    return _SOURCE.sub(rf"FROM \1{LOCAL}", sql)


def replicated(sql: str, shard: str = "{shard}", replica: str = "{replica}") -> str:
    """A CREATE TABLE with the replicated engine of the same kind and its deduplication window."""
    path = _PATH.replace("{shard}", shard)

    def engine(found: "re.Match[str]") -> str:
        arguments = ", ".join(filter(None, (f"'{path}'", f"'{replica}'", found[2])))
        return f"ENGINE = Replicated{found[1]}({arguments})"

    sql = sql.replace("non_replicated_deduplication_window", "replicated_deduplication_window")
    return _ENGINE.sub(engine, sql)


def quoted(name: str) -> str:
    """A name as a string of SQL."""
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _renamed(sql: str, name: str, new: str) -> str:
    return sql.replace(f"IF NOT EXISTS {name}", f"IF NOT EXISTS {new}", 1)
