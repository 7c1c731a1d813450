"""Fixtures of all tests."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from otel_llm.testing import FakeClock, Swallowed, collect_swallowed

pytest_plugins = ["pytester"]

# How long an example takes says how busy the machine is; benchmarks judge time.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def swallowed() -> Iterator[Swallowed]:
    """What guards swallowed in this test. Errors left in it fail the test.

    A test that expects some takes the fixture, looks, and calls `swallowed.clear()`.
    """
    with collect_swallowed() as seen:
        yield seen
    if seen:
        place, error = seen[0]
        message = f"{place} swallowed {type(error).__name__} in this test"
        raise AssertionError(message) from error


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves only when told."""
    return FakeClock()
