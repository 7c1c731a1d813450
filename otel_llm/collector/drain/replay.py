"""Try again what was set aside: a request's rows of the one table that does not have them."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from otel_llm.collector.decoder import COLUMNS, MalformedError, decode
from otel_llm.collector.drain.quarantine import ALL_TABLES, read_request
from otel_llm.errors import StoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class Replayed(NamedTuple):
    """What was stored of a file.

    Attributes:
        file: its path.
        rows: rows stored, by table.
    """

    file: str
    rows: dict[str, int]


def replay(client: "Client", path: Path) -> Replayed:
    """Store a request that was set aside, and remove its file.

    A block has the name under which it was refused, so a file that is replayed again after a kill
    is stored once. It may have rows for any number of partitions.

    Args:
        client: of the store that refused it.
        path: a file of the quarantine.

    Raises:
        StoreError: it is no such file, or is refused again; the file stays.
        OSError: it cannot be read or removed.
    """
    from clickhouse_connect.driver.exceptions import ClickHouseError

    batch, table = read_request(path)
    rows: dict[str, int] = {}
    try:
        for block in decode(batch.signal, batch.bodies(), batch.windows()):
            if table in (ALL_TABLES, block.table):
                settings = {
                    "insert_deduplication_token": f"{batch.name}/{block.table}",
                    "max_partitions_per_insert_block": "0",
                }
                columns = COLUMNS[block.table]
                client.raw_insert(block.table, columns, block.body, settings, "Native")
                rows[block.table] = block.rows
    except (ClickHouseError, MalformedError) as error:
        message = f"{path} is refused again and kept: {error}"
        raise StoreError(message) from error
    path.unlink()
    return Replayed(str(path), rows)
