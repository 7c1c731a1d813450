"""A store with the schema, opened once per test module."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with the schema applied."""
    with closing(Engine(tmp_path_factory.mktemp("data"))) as engine:
        with closing(engine.client()) as client:
            schema.apply(client)
        yield engine
