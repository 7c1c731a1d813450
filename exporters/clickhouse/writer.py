"""Write blocks of rows so that a block sent twice is stored once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from otel_llm.errors import StoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

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
    """Insert one block of rows into `table`. It travels compressed with zstd.

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
    import pyarrow as pa
    from clickhouse_connect.driver.exceptions import ClickHouseError

    settings = {"insert_deduplication_token": token, **_SETTINGS}
    try:
        summary = client.raw_insert(
            table,
            columns,
            insert_block=pa.compress(body, codec="zstd", asbytes=True),
            settings=settings,
            fmt=fmt,
            compression="zstd",
        )
    except ClickHouseError as error:
        message = f"A block for {table} was refused: {error}"
        raise StoreError(message) from error
    return int(summary.written_rows)
