"""Faults of NVML at awkward moments: while it waits for events, and while it is opened anew."""

import threading
import time
from collections.abc import Callable

import pynvml
import pytest

from otel_llm.devices.nvml import NvmlSource
from otel_llm.facts.device import ProcessUse
from tests.devices.node import Node, gpu
from tests.waiting import PATIENCE_S, until


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_UNKNOWN, pynvml.NVML_ERROR_NO_PERMISSION])
def test_a_wait_that_fails_does_not_spin(node: Node, source: NvmlSource, code: int) -> None:
    """Whatever the error, the time is slept out; events are heard again when it has passed."""
    call = "fail.EventSetWait_v2"
    node.play(gpu(0), f"1 - {call} {code}", f"3 - {call} 0", "4 0 xid 79")
    source.open()
    node.go(2)
    began = time.monotonic()
    assert source.wait(0.05) == []
    assert time.monotonic() - began >= 0.05
    node.go(3)
    assert [event.code for event in source.wait(0.05)] == [79]


def test_a_listener_does_not_keep_the_library_shut(
    node: Node, source: NvmlSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device is found again while another thread waits for events without a pause."""
    waits: list[int] = []
    real = pynvml.nvmlEventSetWait_v2

    def wait(of: object, timeout_ms: int) -> object:
        waits.extend([timeout_ms] * (timeout_ms > 0))  # 0 is no wait
        return real(of, timeout_ms)

    monkeypatch.setattr(pynvml, "nvmlEventSetWait_v2", wait)
    reset = pynvml.NVML_ERROR_RESET_REQUIRED
    node.play(gpu(0), f"1 0 fail.DeviceGetFieldValues {reset}", "2 0 fail.DeviceGetFieldValues 0")
    source.open()
    node.go(1.5)
    assert [event.event for event in source.read(full=False).events] == ["lost"]
    node.go(60)
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            source.wait(0.5)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        until(lambda: waits)
        before = len(waits)
        events = source.read(full=False).events
        others = len(waits) - before
    finally:
        stop.set()
        thread.join()
    assert [event.event for event in events] == ["recovered"]
    assert others <= 1  # one may have begun before it saw that the library is wanted


def test_a_listener_stays_away_while_it_is_opened_anew(
    node: Node, source: NvmlSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sleeps its time out, and neither holds the library nor waits for it."""
    reset = pynvml.NVML_ERROR_RESET_REQUIRED
    node.play(gpu(0), f"1 0 fail.DeviceGetFieldValues {reset}", "2 0 fail.DeviceGetFieldValues 0")
    source.open()
    node.go(1.5)
    source.read(full=False)
    node.go(60)
    listener = threading.Thread(target=source.wait, args=(0.01,))
    ended_in_time: list[bool] = []
    init = pynvml.nvmlInit

    def slow_init() -> None:
        listener.start()
        listener.join(PATIENCE_S)
        ended_in_time.append(not listener.is_alive())
        init()

    monkeypatch.setattr(pynvml, "nvmlInit", slow_init)
    source.read(full=False)
    listener.join()
    assert ended_in_time == [True]


def test_an_opening_that_breaks_lets_the_listener_back(
    node: Node, source: NvmlSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks while the library is opened anew, events are heard after the next try."""
    reset = pynvml.NVML_ERROR_RESET_REQUIRED
    node.play(
        gpu(0), f"1 0 fail.DeviceGetFieldValues {reset}", "2 0 fail.DeviceGetFieldValues 0",
        "63 0 xid 79",
    )  # fmt: skip
    source.open()
    node.go(1.5)
    source.read(full=False)
    node.go(60)

    def broken() -> None:
        message = "out of memory"
        raise OSError(message)

    with monkeypatch.context() as patched:
        patched.setattr(pynvml, "nvmlInit", broken)
        with pytest.raises(OSError, match="out of memory"):
            source.read(full=False)
    source.open()
    node.go(2)
    assert [event.code for event in source.wait(0.05)] == [79]


def test_a_device_that_is_missing_after_a_reopening(node: Node, source: NvmlSource) -> None:
    """Who was well before and is not found with the others is lost, and is looked for again."""
    unknown = pynvml.NVML_ERROR_UNKNOWN
    node.play(
        gpu(0), gpu(1), "10 0 lost 1", "10.5 0 lost 0",
        f"11 1 fail.DeviceGetUUID {unknown}", "70 1 fail.DeviceGetUUID 0",
    )  # fmt: skip
    source.open()
    seen = []
    for _ in range(200):
        node.go(1)
        reading = source.read(full=False)
        seen += [(event.device.id, event.event) for event in reading.events]
    assert seen == [
        ("GPU-0", "lost"), ("GPU-1", "lost"), ("GPU-0", "recovered"), ("GPU-1", "recovered"),
    ]  # fmt: skip
    assert [sample.device.id for sample in reading.samples] == ["GPU-0", "GPU-1"]


def test_a_device_that_is_parted_anew(node: Node, source: NvmlSource) -> None:
    """An instance that is gone while its device is back is neither lost nor waited for."""
    node.play(
        gpu(0, mig0="MIG-a 1g.10gb 7 111 1000"),
        "5 0 lost 1", "5.5 0 lost 0", "5.5 0 mig0 MIG-b 3g.40gb 2 222 4000",
    )  # fmt: skip
    source.open()
    for _ in range(60):
        node.go(1)
        source.read(full=False)
    assert [device.mig for device in source.devices] == ["", "MIG-b"]
    assert source.problems == []


def test_nobody_uses_a_device(node: Node, source: NvmlSource) -> None:
    """NVML's "not found" for an idle device is an answer, and no failed call."""
    node.play(gpu(0, processes="41,1000,30"), "0 0 fail.DeviceGetProcessUtilization 6")
    source.open()
    [sample] = source.read(full=True).samples
    assert sample.processes == (ProcessUse(41, 1000, None),)
    assert source.calls["nvmlDeviceGetProcessUtilization"].failed == 0


@pytest.mark.parametrize(
    "call", ["GetNvLinkState", "RegisterEvents", "GetSupportedEventTypes", "GetMigMode", "GetName"]
)
def test_one_that_is_lost_while_it_is_opened(node: Node, source: NvmlSource, call: str) -> None:
    """Whatever it was asked for, the others are opened, read and heard."""
    lost = pynvml.NVML_ERROR_GPU_IS_LOST
    node.play(gpu(0, links="1"), gpu(1, links="0"), f"0 0 fail.Device{call} {lost}", "2 1 xid 79")
    assert source.open()
    node.go(3)
    reading = source.read(full=True)
    assert "GPU-1" in {each.device.id for each in reading.samples}
    heard = [*reading.events, *source.wait(0.02)]
    assert [event.code for event in heard if event.event == "xid"] == [79]


def test_what_is_lent_is_given_back(
    node: Node, source: NvmlSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses, reopenings and MIG's switch leave no sample of GPM behind, and no event set."""
    lent: list[str] = []
    calls = {"nvmlGpmSampleAlloc": 1, "nvmlGpmSampleFree": -1}
    calls |= {"nvmlEventSetCreate": 1, "nvmlEventSetFree": -1}
    count = 0

    def counted(name: str, by: int) -> Callable[..., object]:
        real = getattr(pynvml, name)

        def call(*arguments: object) -> object:
            nonlocal count
            count += by
            lent.append(name)
            return real(*arguments)

        return call

    for name, by in calls.items():
        monkeypatch.setattr(pynvml, name, counted(name, by))
    losses = [f"{50 * each} 0 lost {each % 2}" for each in range(1, 7)]
    node.play(gpu(0), gpu(1), "20 1 mig_mode 1", losses)
    source.open()
    for _ in range(400):
        node.go(1)
        source.read(full=True)
    source.close()
    assert lent.count("nvmlGpmSampleAlloc") > 8
    assert count == 0
