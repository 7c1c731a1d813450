"""An embedded engine and a served stack, each opened once per test module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm.collector.stack import Stack
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.settings import Settings
from tests.collector.serving import serving
from tests.stores import opened
from tests.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with the schema applied."""
    with opened(tmp_path_factory.mktemp("data")) as engine:
        yield engine


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole embedded stack, answering on free ports."""
    with serving(served_settings(tmp_path_factory.mktemp("data"))) as stack:
        yield stack


@pytest.fixture
def impatient(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack gives a query one second."""
    executor = stack._servers[0].config.app.routes[1].endpoint.__self__._executor  # type: ignore[union-attr]
    monkeypatch.setitem(executor._limits, "max_execution_time", "1")
    monkeypatch.setitem(executor._judge._limits.bounds, "max_execution_time", 1.0)


def served_settings(data_dir: Path) -> Settings:
    """Settings of a stack for tests: free ports, small bounds, rows of any age kept."""
    return Settings(
        data_dir=str(data_dir),
        clickhouse_port=0,
        otlp_http_port=0,
        otlp_grpc_port=0,
        max_body_bytes=2 << 20,
        query_timeout_s=PATIENCE_S,
        store_memory_bytes=1 << 30,
        retention=("*=0",),
    )
