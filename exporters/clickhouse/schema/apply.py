"""Apply the numbered statements that a database does not have yet.

Each file is recorded in `schema_migrations` after its statement ran. Statements say IF NOT EXISTS,
so a run killed between the two does the statement again and goes on.
"""

import hashlib
from importlib.resources import files
from typing import NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from otel_llm.errors import StoreError

MIGRATIONS_TABLE = "schema_migrations"

_CREATE_MIGRATIONS = f"""CREATE TABLE IF NOT EXISTS {MIGRATIONS_TABLE}
(version UInt32, name String, sha256 String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = ReplacingMergeTree(applied_at) ORDER BY version"""


class Statement(NamedTuple):
    """One file of the schema.

    Attributes:
        version: number at the start of the file's name.
        name: the file's name.
        sql: its text.
    """

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum of the text, to notice a file changed after it was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def statements() -> tuple[Statement, ...]:
    """All statements of the schema, in the order of their numbers."""
    found = [
        Statement(int(file.name.split("_", 1)[0]), file.name, file.read_text(encoding="utf-8"))
        for file in files(__package__).iterdir()
        if file.name.endswith(".sql")
    ]
    return tuple(sorted(found))


def pending(client: Client) -> tuple[Statement, ...]:
    """The statements that the client's database does not have yet.

    Raises:
        StoreError: the store cannot be asked, or an applied file has been changed since.
    """
    applied = _applied(client)
    for statement in statements():
        if applied.get(statement.version, statement.sha256) != statement.sha256:
            message = (
                f"{statement.name} differs from what was applied to this database. "
                "Applied files are never changed: undo the change and add a new file."
            )
            raise StoreError(message)
    return tuple(s for s in statements() if s.version not in applied)


def apply(client: Client) -> tuple[Statement, ...]:
    """Bring the client's database up to date.

    Returns:
        The statements that were applied now.

    Raises:
        StoreError: a statement failed; the message names its file. Those before it stay applied.
    """
    _command(client, _CREATE_MIGRATIONS, MIGRATIONS_TABLE)
    todo = pending(client)
    for statement in todo:
        _command(client, statement.sql, statement.name)
        _record(client, statement)
    return todo


def _record(client: Client, statement: Statement) -> None:
    row = f"{statement.version}, '{statement.name}', '{statement.sha256}'"
    sql = f"INSERT INTO {MIGRATIONS_TABLE} (version, name, sha256) SELECT {row}"
    _command(client, sql, statement.name)


def _applied(client: Client) -> dict[int, str]:
    try:
        if not int(str(client.command(f"EXISTS TABLE {MIGRATIONS_TABLE}"))):
            return {}
        rows = client.query(f"SELECT version, sha256 FROM {MIGRATIONS_TABLE} FINAL").result_rows  # noqa: S608
    except ClickHouseError as error:
        message = f"The schema's state cannot be read from {MIGRATIONS_TABLE}: {error}"
        raise StoreError(message) from error
    return {int(version): str(sha256) for version, sha256 in rows}


def _command(client: Client, sql: str, name: str) -> None:
    try:
        client.command(sql)
    except ClickHouseError as error:
        message = f"{name} could not be applied: {error}"
        raise StoreError(message) from error
