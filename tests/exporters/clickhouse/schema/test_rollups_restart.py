"""What the store remembers of blocks when it is opened again; engines of this module's own."""

from contextlib import closing
from pathlib import Path

from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.writer import insert_arrow_block
from tests.exporters.clickhouse.schema.test_rollups import (
    REQUESTS,
    REQUESTS_BASE,
    REQUESTS_READ,
    block,
    read,
)


def test_a_block_sent_again_after_a_restart_counts_once(tmp_path: Path) -> None:
    """The store remembers the blocks it has seen on its disk."""
    for _ in range(2):
        engine = Engine(tmp_path / "data")
        with closing(engine.client()) as client:
            schema.apply(client)
            insert_arrow_block(client, "llm_requests", block(client, REQUESTS, 300), "token")
            assert client.command("SELECT count() FROM llm_requests") == 300
            assert read(client, REQUESTS_READ) == read(client, REQUESTS_BASE)
        engine.close()
