"""An engine with the schema, and the way from spool to table."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm.exporters.clickhouse.engine import Engine
from tests.collector.drain.way import Way
from tests.stores import opened


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with the schema."""
    with opened(tmp_path_factory.mktemp("data")) as engine:
        yield engine


@pytest.fixture
def way(engine: Engine, tmp_path: Path) -> Iterator[Way]:
    """The way from spool to table, over empty tables."""
    for table in ("otel_traces", "otel_traces_trace_id_ts"):
        with engine.session() as handle:
            handle.run(f"TRUNCATE TABLE {table}")
    way = Way(engine, tmp_path)
    yield way
    way.spool.close()
