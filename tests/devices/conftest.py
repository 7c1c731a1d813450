"""A GPU node played by the fake libnvidia-ml, under the real pynvml."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm.devices.fake_nvml import FakeNvml, build
from otel_llm.devices.nvml import NvmlSource
from otel_llm.testing import FakeClock
from tests.devices.node import Node


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake, compiled once."""
    return build(tmp_path_factory.mktemp("fake-nvml"))


@pytest.fixture
def node(library: Path, tmp_path: Path) -> Iterator[Node]:
    """A node without a script yet, at its time 0."""
    fake = FakeNvml(library, tmp_path)
    fake.use()
    made = Node(fake, FakeClock())
    yield made
    for source in made.sources:
        source.close()
    fake.close()


@pytest.fixture
def source(node: Node) -> NvmlSource:
    """A source that listens to the node; not open yet."""
    return node.source()
