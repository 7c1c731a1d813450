"""XIDs and other events as NVML tells them."""

import time

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


def test_what_was_heard_of_others_is_told(node: Node, source: NvmlSource) -> None:
    """A reopening for one GPU loses no event of another."""
    node.play(gpu(0), gpu(1), "1 1 lost 1", "2 0 xid 48")
    source.open()
    node.go(1.5)
    source.read(full=True)
    node.go(120)
    assert [each.code for each in source.read(full=True).events if each.event == "xid"] == [48]


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
