"""Apply the numbered statements that a database does not have yet.

Each file is recorded in `schema_migrations` after its statements ran. They can be run again (CREATE
and ADD COLUMN say IF NOT EXISTS), so a run killed between the two does them again and goes on, and
two runs at once do no harm. What has been dropped since is made again.
"""

from collections.abc import Iterable

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.schema.cluster import names, quoted, rendered, replicated
from otel_llm.exporters.clickhouse.schema.differences import Difference, differences
from otel_llm.exporters.clickhouse.schema.statements import Statement, statements

MIGRATIONS_TABLE = "schema_migrations"

_CREATE_MIGRATIONS = f"""CREATE TABLE IF NOT EXISTS {MIGRATIONS_TABLE}
(
    version UInt32,
    name String,
    sha256 String,
    cluster String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY version"""


def pending(client: Client, cluster: str = "") -> tuple[Statement, ...]:
    """The statements that the client's database has not had, or whose table is not there.

    Args:
        client: of the database.
        cluster: the cluster that the schema is for; empty for a single server.

    Raises:
        StoreError: the store cannot be asked, an applied file has been changed since, or was
            applied for another cluster.
    """
    applied = _applied(client)
    for statement in statements():
        sha256, where = applied.get(statement.version, (statement.sha256, cluster))
        if sha256 != statement.sha256:
            message = (
                f"{statement.name} differs from what was applied to this database. "
                "Applied files are never changed: undo the change and add a new file."
            )
            raise StoreError(message)
        if where != cluster:
            message = (
                f"This database has the schema of {_place(where)}, not of {_place(cluster)}. "
                "Give the right --cluster, or another database."
            )
            raise StoreError(message)
    there = _tables(client)
    return tuple(
        each
        for each in statements()
        if each.version not in applied or not there.issuperset(names(each, cluster))
    )


def apply(client: Client, cluster: str = "") -> tuple[Statement, ...]:
    """Bring the client's database up to date, and set deduplication windows that are off.

    Args:
        client: of the database.
        cluster: name of the cluster on all of whose servers it is done; empty for one server.

    Returns:
        The statements that were applied now.

    Raises:
        StoreError: a table that is there already differs, and is named with its columns; or a
            statement failed, and its file is named. Those before it stay applied.
    """
    todo = pending(client, cluster)
    _refuse_others(client, cluster, todo)
    _command(client, _create_migrations(cluster), MIGRATIONS_TABLE)
    database = str(client.command("SELECT currentDatabase()"))
    for statement in todo:
        for sql in rendered(statement, cluster, database):
            _command(client, sql, statement.name)
        _record(client, statement, cluster)
    for each in _refuse_others(client, cluster):
        where = f" ON CLUSTER {quoted(cluster)}" if cluster else ""
        _command(
            client, f"ALTER TABLE {each.table}{where} MODIFY SETTING {each.window}", each.table
        )
    return todo


def _refuse_others(
    client: Client, cluster: str, todo: Iterable[Statement] = ()
) -> tuple[Difference, ...]:
    """Raise if a table differs in what cannot be mended. Those that lack their window alone."""
    differing = differences(client, cluster, todo)
    found = [each for each in differing if each.problems]
    if found:
        message = (
            f"The database has tables that differ from the schema. {'; '.join(map(str, found))}. "
            "docs/schema.md says what to do with them."
        )
        raise StoreError(message)
    return differing


def _create_migrations(cluster: str) -> str:
    """One table on all servers: of a cluster, each holds the whole record."""
    if not cluster:
        return _CREATE_MIGRATIONS
    name = f"{MIGRATIONS_TABLE} ON CLUSTER {quoted(cluster)}"
    sql = _CREATE_MIGRATIONS.replace(MIGRATIONS_TABLE, name, 1)
    return replicated(sql, shard="all", replica="{shard}-{replica}")


def _place(cluster: str) -> str:
    return f"the cluster {cluster}" if cluster else "a single server"


def _record(client: Client, statement: Statement, cluster: str) -> None:
    row = f"{statement.version}, '{statement.name}', '{statement.sha256}', {quoted(cluster)}"
    sql = f"INSERT INTO {MIGRATIONS_TABLE} (version, name, sha256, cluster) SELECT {row}"
    _command(client, sql, statement.name)


def _tables(client: Client) -> set[str]:
    sql = "SELECT name FROM system.tables WHERE database = currentDatabase()"
    try:
        return {str(name) for (name,) in client.query(sql).result_rows}
    except ClickHouseError as error:
        message = f"The tables of the store cannot be listed: {error}"
        raise StoreError(message) from error


def _applied(client: Client) -> dict[int, tuple[str, str]]:
    """Checksum and cluster of each applied version."""
    try:
        if not int(str(client.command(f"EXISTS TABLE {MIGRATIONS_TABLE}"))):
            return {}
        sql = f"SELECT version, sha256, cluster FROM {MIGRATIONS_TABLE} FINAL"  # noqa: S608
        rows = client.query(sql).result_rows
    except ClickHouseError as error:
        message = f"The schema's state cannot be read from {MIGRATIONS_TABLE}: {error}"
        raise StoreError(message) from error
    return {int(version): (str(sha256), str(cluster)) for version, sha256, cluster in rows}


def _command(client: Client, sql: str, name: str) -> None:
    try:
        client.command(sql)
    except ClickHouseError as error:
        message = f"{name} could not be applied: {error}"
        raise StoreError(message) from error
