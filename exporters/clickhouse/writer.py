"""Write blocks of rows so that a block sent twice is stored once."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from otel_llm.errors import StoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client
    from clickhouse_connect.driver.summary import QuerySummary

_SETTINGS = {
    "deduplicate_blocks_in_dependent_materialized_views": "1",
    # Else a distributed table answers first, and sends the rows to their shards later.
    "distributed_foreground_insert": "1",
}


def insert_arrow_block(client: "Client", table: str, stream: bytes, token: str) -> int:
    """Insert one Arrow IPC stream into `table`; see `insert_block`.

    Args:
        client: of the store.
        table: a table of the schema.
        stream: rows as an Arrow IPC stream; columns by name.
        token: identifies the block.

    Returns:
        Rows written, as the store counts them; rows of dependent views are among them.

    Raises:
        StoreError: the store refused the block or cannot be reached; see its cause.
    """
    import pyarrow as pa

    names = pa.ipc.open_stream(stream).schema.names
    return insert_block(client, table, names, "ArrowStream", stream, token)


def insert_block(
    client: "Client",
    table: str,
    columns: Sequence[str],
    fmt: Literal["ArrowStream", "Native"],
    body: bytes,
    token: str,
) -> int:
    """Insert one block of rows into `table`. Over HTTP it travels compressed with zstd.

    Send the identical bytes with the identical token on a retry: the table and the views that
    depend on it then hold the block once. On a cluster its shards have stored it by then.

    Args:
        client: of the store.
        table: a table of the schema.
        columns: names of the columns sent, so that the others get their DEFAULT.
        fmt: the format of `body`.
        body: the rows.
        token: identifies the block.

    Returns:
        Rows written, as the store counts them; rows of dependent views are among them.

    Raises:
        StoreError: the store refused the block or cannot be reached; see its cause.
    """
    from clickhouse_connect.driver.exceptions import ClickHouseError

    settings = {"insert_deduplication_token": token, **_SETTINGS}
    try:
        summary = _insert(client, table, tuple(columns), fmt, body, settings)
    except ClickHouseError as error:
        message = f"A block for {table} was refused: {error}"
        raise StoreError(message) from error
    return int(summary.written_rows)


def _insert(
    client: "Client",
    table: str,
    columns: tuple[str, ...],
    fmt: str,
    body: bytes,
    settings: dict[str, str],
) -> "QuerySummary":
    """Over HTTP the statement travels in the body: in the URL every name of a column is quoted.

    That took a fifth of the time that sending a block takes.
    """
    import pyarrow as pa
    from clickhouse_connect.driver.httpclient import HttpClient

    if not isinstance(client, HttpClient):  # it runs in this process
        return client.raw_insert(table, columns, body, settings, fmt)
    whole = pa.compress(_statement(table, columns, fmt) + body, codec="zstd", asbytes=True)
    return client.raw_insert(insert_block=whole, settings=settings, compression="zstd")


@functools.lru_cache(maxsize=256)
def _statement(table: str, columns: tuple[str, ...], fmt: str) -> bytes:
    from clickhouse_connect.driver.binding import quote_identifier

    names = ", ".join(map(quote_identifier, columns))
    return f"INSERT INTO {table} ({names}) FORMAT {fmt}\n".encode()
