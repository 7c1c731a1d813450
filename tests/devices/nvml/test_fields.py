"""Field values as bytes: where the numbers stand, and what no driver has told so far."""

import ctypes
import sys
import threading
import time

import pynvml
import pytest

from otel_llm.devices.nvml.fields import Field, FieldReader
from otel_llm.devices.nvml.library import Calls

VALUE = pynvml.c_nvmlFieldValue_t
TYPES = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: ("dVal", 2.5),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: ("uiVal", 2**32 - 1),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: ("ulVal", 2**40),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: ("ullVal", 2**64 - 1),
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: ("sllVal", -(2**40)),
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: ("siVal", -7),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: ("usVal", 2**16 - 1),
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[ctypes.Structure]:
    """What the driver answers, in place of the real one."""
    values: list[ctypes.Structure] = []
    monkeypatch.setattr(
        pynvml, "nvmlDeviceGetFieldValues", lambda _handle, _ids: (VALUE * len(values))(*values)
    )
    return values


def value(kind: int, member: str, number: float, *, latency_us: int = 3) -> ctypes.Structure:
    """A field value as the driver writes it."""
    made: ctypes.Structure = VALUE(
        valueType=kind, nvmlReturn=pynvml.NVML_SUCCESS, latencyUsec=latency_us
    )
    setattr(made.value, member, number)
    return made


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_number(told: list[ctypes.Structure], kind: int) -> None:
    """The bytes are read as pynvml's structure names them, also behind another value."""
    member, number = TYPES[kind]
    told += [value(pynvml.NVML_VALUE_TYPE_SIGNED_INT, "siVal", -1), value(kind, member, number)]
    calls = Calls()
    reader = FieldReader(calls, "GPU-0", None, [{"first": Field(1)}, {"second": Field(2)}])
    assert reader.read() == {"first": -1, "second": number}
    assert calls.costs["second"].total_ns == 3000


def test_a_type_of_a_later_driver(told: list[ctypes.Structure]) -> None:
    """It is a failure of that field, and the others stand."""
    told += [value(99, "ullVal", 5), value(pynvml.NVML_VALUE_TYPE_UNSIGNED_INT, "uiVal", 8)]
    calls = Calls()
    reader = FieldReader(calls, "GPU-0", None, [{"strange": Field(1), "known": Field(2)}])
    assert reader.read() == {"known": 8}
    assert (calls.costs["strange"].failed, calls.costs["known"].failed) == (1, 0)


def test_costs_are_read_while_calls_are_made() -> None:
    """The agent's page asks for them from another thread."""
    calls, ended = Calls(), threading.Event()

    def make_calls() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            calls.told(f"call-{number % 97}", f"GPU-{number}", pynvml.NVML_ERROR_NO_PERMISSION, 1)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=make_calls)
    thread.start()
    try:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert len(calls.costs) <= 97
            assert calls.forbidden is not None
    finally:
        ended.set()
        thread.join()
        sys.setswitchinterval(before)
