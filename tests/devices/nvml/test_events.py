"""XIDs and other events as NVML tells them."""

import time

import pynvml
import pytest

from otel_llm.devices.nvml import NvmlSource
from otel_llm.facts.device import DeviceEvent
from tests.devices.node import Node, gpu


def hear(source: NvmlSource, times: int = 1) -> list[DeviceEvent]:
    """What is heard in so many short waits."""
    return [event for _ in range(times) for event in source.wait(0.02)]


def test_an_xid(node: Node, source: NvmlSource) -> None:
    """Device, number, meaning and whose fault, once."""
    node.play(gpu(0), gpu(1), "1 1 xid 79", "2 0 xid 13", "3 0 xid 9999")
    source.open()
    node.go(4)
    assert [(each.device.id, each.event, each.code, each.fault) for each in hear(source, 2)] == [
        ("GPU-1", "xid", 79, "hardware"),
        ("GPU-0", "xid", 13, "user"),
        ("GPU-0", "xid", 9999, ""),
    ]


def test_an_older_device_is_asked_for_what_it_has(node: Node, source: NvmlSource) -> None:
    """A driver refuses a set with a kind that the device lacks: it is heard all the same."""
    xids_alone = pynvml.nvmlEventTypeXidCriticalError
    node.play(gpu(0, event_types=xids_alone), gpu(1, event_types=0), "1 0 xid 79", "1 1 xid 79")
    source.open()
    node.go(2)
    assert [(event.device.id, event.code) for event in hear(source)] == [("GPU-0", 79)]
    assert source.problems == ["XIDs of GPU-1 cannot be heard: the driver does not tell them"]


def test_what_was_before_is_not_heard(node: Node, source: NvmlSource) -> None:
    """An event set hears from its making on, as NVML's does."""
    node.play(gpu(0), "1 0 xid 31")
    node.go(2)
    source.open()
    assert hear(source) == []


def test_ecc_and_recovery(node: Node, source: NvmlSource) -> None:
    """A double bit error and a changed recovery action are events of their own."""
    node.play(gpu(0), "1 0 ecc_event 1", "2 0 recovery_event 1")
    source.open()
    node.go(3)
    assert [(each.event, each.fault) for each in hear(source)] == [
        ("ecc", "hardware"), ("recovery_action", ""),
    ]  # fmt: skip


def test_a_storm_is_heard_whole(node: Node, source: NvmlSource) -> None:
    """Ten thousand XIDs: none is lost, and no wait lasts for ever."""
    storm = [f"{1 + number / 10_000} 0 xid {31 if number % 2 else 13}" for number in range(10_000)]
    node.play(gpu(0), storm)
    source.open()
    node.go(5)
    assert len(hear(source, 5)) == 10_000


def test_what_is_heard_is_told_at_once(
    node: Node, source: NvmlSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once there is an event, what else there is is taken, and nothing more is waited for."""
    waits: list[int] = []
    real = pynvml.nvmlEventSetWait_v2

    def wait(of: object, timeout_ms: int) -> object:
        waits.append(timeout_ms)
        return real(of, timeout_ms)

    node.play(gpu(0), "1 0 xid 79", "1 0 xid 48")
    source.open()
    node.go(2)
    monkeypatch.setattr(pynvml, "nvmlEventSetWait_v2", wait)
    assert [event.code for event in source.wait(0.02)] == [79, 48]
    assert waits == [20, 0, 0]


def test_what_was_heard_of_others_is_told(node: Node, source: NvmlSource) -> None:
    """A reopening for one GPU loses no event of another, be it a storm."""
    node.play(gpu(0), gpu(1), "1 1 lost 1", ["2 0 xid 48"] * 10_000)
    source.open()
    node.go(1.5)
    source.read(full=True)
    node.go(120)
    told = [each.code for each in source.read(full=True).events if each.event == "xid"]
    assert told == [48] * 10_000


def test_a_driver_that_tells_no_events(node: Node, source: NvmlSource) -> None:
    """It is said which devices cannot be heard."""
    node.play(gpu(0), "0 0 fail.DeviceRegisterEvents 3")
    source.open()
    began = time.monotonic()
    assert hear(source) == []
    assert time.monotonic() - began >= 0.02
    assert source.problems == ["XIDs of GPU-0 cannot be heard: the driver does not tell them"]


def test_a_lost_device_does_not_spin(node: Node, source: NvmlSource) -> None:
    """While NVML refuses to wait, the time is slept out."""
    node.play(gpu(0), "1 0 lost 1")
    source.open()
    node.go(2)
    began = time.monotonic()
    assert hear(source) == []
    assert time.monotonic() - began >= 0.02
