"""The client that opens the data directory itself."""

from contextlib import closing
from pathlib import Path

import pytest

from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.client import connect
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.writer import insert_arrow_block
from tests.exporters.clickhouse.test_client import block


def test_a_data_directory_is_opened_and_given_back(tmp_path: Path) -> None:
    """Without a running stack the directory is opened here; closing frees it."""
    with closing(Engine(tmp_path)) as engine, closing(engine.client()) as client:
        schema.apply(client)
    with closing(connect(data_dir=str(tmp_path))) as client:
        for _ in range(2):
            insert_arrow_block(client, "llm_engine_events", block("here"), "token")
        assert client.command("SELECT count() FROM llm_engine_events") == 3
        with pytest.raises(StoreError, match="in use by otel-llm command"):
            connect(data_dir=str(tmp_path))
    with closing(connect(data_dir=str(tmp_path))) as client:
        assert client.command("SELECT count() FROM llm_engine_events") == 3
