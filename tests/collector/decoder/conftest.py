"""A store with the schema, opened once per test module."""

from collections.abc import Iterator

import pytest

from otel_llm.exporters.clickhouse.engine import Engine
from tests.stores import opened


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with the schema applied."""
    with opened(tmp_path_factory.mktemp("data")) as engine:
        yield engine
