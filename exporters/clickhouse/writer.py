"""Write blocks of rows so that a block sent twice is stored once."""

from typing import TYPE_CHECKING

from otel_llm.errors import StoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def insert_arrow_block(client: "Client", table: str, stream: bytes, token: str) -> int:
    """Insert one Arrow IPC stream into `table`.

    Send the identical bytes with the identical token on a retry: the table and the views that
    depend on it then hold the block once.

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
    from clickhouse_connect.driver.exceptions import ClickHouseError

    # Named columns, so that those left out get their DEFAULT and not their type's zero.
    names = pa.ipc.open_stream(stream).schema.names
    settings = {
        "insert_deduplication_token": token,
        "deduplicate_blocks_in_dependent_materialized_views": "1",
    }
    try:
        summary = client.raw_insert(
            table, names, insert_block=stream, settings=settings, fmt="ArrowStream"
        )
    except ClickHouseError as error:
        message = f"A block for {table} was refused: {error}"
        raise StoreError(message) from error
    return int(summary.written_rows)
