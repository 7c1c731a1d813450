"""The table of XIDs."""

from typing import get_args

import pytest

from otel_llm.devices import xid
from otel_llm.facts.device import Fault


def test_every_entry_is_whole() -> None:
    """Each has a meaning, a fault and an action."""
    assert len(xid.table()) >= 50
    for number, entry in xid.table().items():
        assert 0 < number < 1000
        assert entry.meaning
        assert entry.action
        assert entry.fault in set(get_args(Fault)) - {""}


@pytest.mark.parametrize("number", [13, 31, 43, 45, 68, 109])
def test_faults_of_applications(number: int) -> None:
    """What NVIDIA's device plugin does not count against a GPU is the application's."""
    assert xid.classify(number).fault == "user"


@pytest.mark.parametrize("number", [48, 63, 64, 74, 79, 92, 94, 95])
def test_faults_of_hardware(number: int) -> None:
    """Memory, links and the bus."""
    assert xid.classify(number).fault == "hardware"


@pytest.mark.parametrize("number", [119, 120])
def test_faults_of_firmware(number: int) -> None:
    """What the GPU's system processor does not answer is the driver's."""
    assert xid.classify(number).fault == "driver"


def test_a_number_that_is_not_there() -> None:
    """It is told, with no fault."""
    assert (xid.classify(12345).fault, xid.classify(12345) is xid.UNKNOWN) == ("", True)
