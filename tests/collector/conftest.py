"""A served stack, opened once per test module."""

from collections.abc import Iterator

import pytest

from otel_llm.collector.stack import Stack
from otel_llm.settings import Settings
from tests.collector.serving import serving


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole embedded stack, answering on free ports."""
    settings = Settings(
        data_dir=str(tmp_path_factory.mktemp("data")),
        clickhouse_port=0,
        otlp_http_port=0,
        otlp_grpc_port=0,
        otlp_segment_age_s=0.02,
        max_body_bytes=1 << 20,
        store_memory_bytes=1 << 30,
    )
    with serving(settings) as stack:
        yield stack
