"""The engines that must keep the contract."""

from collections.abc import Iterator

import pytest

from tests.contract.engines import EngineUnderTest, Reference, Site, Vllm, started

ENGINES = [
    pytest.param(Reference(), id="reference"),
    pytest.param(Vllm(), id="vllm", marks=[pytest.mark.vllm, pytest.mark.timeout(600)]),
]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    """One kind of engine after the other."""
    found: EngineUnderTest = request.param
    return found


@pytest.fixture(scope="module")
def site(engine: EngineUnderTest) -> Iterator[Site]:
    """An engine that serves all tests of a module."""
    with started(engine) as running:
        yield running
