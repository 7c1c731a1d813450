"""The engines that must keep the contract."""

from collections.abc import Iterator

import pytest

from tests.contract.engines import EngineUnderTest, Reference, Site, Vllm, started

ENGINES = [
    pytest.param(Reference(), id="reference"),
    pytest.param(Vllm(), id="vllm", marks=[pytest.mark.vllm, pytest.mark.timeout(600)]),
]


@pytest.fixture(scope="package", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    """One kind of engine after the other."""
    found: EngineUnderTest = request.param
    return found


@pytest.fixture(scope="package")
def site(engine: EngineUnderTest) -> Iterator[Site]:
    """An engine that serves all tests here but those of its own end."""
    with started(engine) as running:
        yield running
