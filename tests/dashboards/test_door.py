"""The embedded store's door lets the boards' SQL pass."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from benchmarks.dashboards import macros
from otel_llm.exporters.clickhouse.door import Judge
from otel_llm.exporters.clickhouse.door.walk import Limits
from otel_llm.exporters.clickhouse.engine import Engine
from tests.dashboards.test_asked import CHOSEN, LOOKED_AT, NAMES, STATEMENTS


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """The door of an embedded store."""
    with closing(Engine(tmp_path_factory.mktemp("door"), memory_bytes=1 << 30)) as engine:
        yield Judge(engine, Limits({}))


@pytest.mark.parametrize("text", [text for _, text in STATEMENTS], ids=NAMES)
def test_the_door_lets_every_statement_pass(judge: Judge, text: str) -> None:
    """Grafana asks the embedded store through its door, which refuses what it cannot check."""
    judge.judge(macros.sql(text, LOOKED_AT, CHOSEN), "otel", {})
