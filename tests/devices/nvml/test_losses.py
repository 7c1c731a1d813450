"""GPUs that are lost and found again, and drivers that are not there, through the fake."""

from collections import Counter
from itertools import pairwise

import pynvml
import pytest

from otel_llm.devices.nvml import NvmlSource
from tests.devices.node import Node, gpu, run, told

LOSSES = (
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_RESET_REQUIRED,
    pynvml.NVML_ERROR_GPU_NOT_FOUND,
    pynvml.NVML_ERROR_UNINITIALIZED,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
)


@pytest.mark.parametrize("code", LOSSES)
def test_any_call_may_find_a_loss(node: Node, source: NvmlSource, code: int) -> None:
    """One event, no sample of that device, the others go on."""
    node.play(gpu(0), gpu(1), f"0.5 0 fail.DeviceGetFieldValues {code}")
    source.open()
    node.go(1)
    reading = source.read(full=True)
    assert [each.device.id for each in reading.samples] == ["GPU-1"]
    [event] = reading.events
    assert (event.device.id, event.event, event.code, event.fault) == (
        "GPU-0", "lost", code, "hardware",
    )  # fmt: skip


def test_lost_and_recovered(node: Node, source: NvmlSource) -> None:
    """A GPU that falls off and comes back is found again without a restart."""
    node.play(gpu(0), gpu(1), "10 0 lost 1", "40 0 lost 0")
    source.open()
    samples, events = run(node, source, 200)
    assert told(events) == [("GPU-0", "lost"), ("GPU-0", "recovered")]
    by_device = Counter(each.device.id for each in samples)
    assert by_device["GPU-1"] == 200
    # It is tried again with longer and longer waits, a minute at most.
    assert 200 - 31 - 60 <= by_device["GPU-0"] <= 200 - 30
    assert source.problems == []


def test_a_later_loss_is_tried_as_soon_as_the_first(node: Node, source: NvmlSource) -> None:
    """Waits grow within one loss, and begin anew with the next."""
    times = range(100, 900, 100)
    node.play(gpu(0), *(f"{at} 0 lost 1" for at in times), *(f"{at + 1} 0 lost 0" for at in times))
    source.open()
    samples, events = run(node, source, 850)
    assert [event.event for event in events] == ["lost", "recovered"] * 8
    assert len(samples) >= 850 - 8 * 4


def test_a_device_that_opens_and_does_not_read(node: Node, source: NvmlSource) -> None:
    """It is lost once, and tried again with growing waits, not every second."""
    node.play(gpu(0), gpu(1), "1 0 fail.DeviceGetFieldValues 15")
    source.open()
    _, events = run(node, source, 600)
    assert told(events) == [("GPU-0", "lost")]
    assert source.calls["nvmlDeviceGetName"].made < 60


def test_lost_from_the_start(node: Node, source: NvmlSource) -> None:
    """A GPU that is lost when the agent begins is found once it is back."""
    node.play(gpu(0), gpu(1), "0 1 lost 1", "30 1 lost 0")
    assert source.open()
    samples, _ = run(node, source, 200)
    assert Counter(each.device.id for each in samples)["GPU-1"] >= 200 - 30 - 60
    assert source.problems == []


def test_all_lost_from_the_start(node: Node, source: NvmlSource) -> None:
    """Whoever opens it again finds them, and leaves no user of the library behind."""
    node.play(gpu(0), "0 0 lost 1", "5 0 lost 0")
    assert not source.open()
    node.go(6)
    assert source.open()
    source.close()
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlShutdown()


@pytest.mark.parametrize("call", ["GpmSampleFree", "EventSetFree"])
def test_a_clean_up_that_fails(node: Node, source: NvmlSource, call: str) -> None:
    """A driver that takes nothing back stops nobody; the devices are found again all the same."""
    node.play(gpu(0), f"0 - fail.{call} {pynvml.NVML_ERROR_UNKNOWN}", "10 - reload 1")
    source.open()
    samples, events = run(node, source, 120)
    assert [name for _, name in told(events)] == ["lost", "recovered", "reset"]
    assert len(samples) >= 120 - 60
    source.close()
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlShutdown()


def test_a_driver_that_has_gone_takes_nothing_back(node: Node, source: NvmlSource) -> None:
    """What it lent went with it: its refusals are no failure of ours."""
    node.play(gpu(0), "10 - reload 1")
    source.open()
    run(node, source, 9)
    node.go(2)
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlEventSetCreate()
    source.close()


def test_another_driver_is_probed_anew(node: Node, source: NvmlSource) -> None:
    """What the driver before did not support may be there after its update."""
    refused = pynvml.NVML_ERROR_NOT_SUPPORTED
    node.play(
        gpu(0), f"0 0 fail.DeviceGetTemperature {refused}", "10 0 fail.DeviceGetTemperature 0",
        "20 - reload 1",
    )  # fmt: skip
    source.open()
    samples, _ = run(node, source, 100)
    assert {each.temperature_c for each in samples[:15]} == {None}
    assert samples[-1].temperature_c == 45


def test_while_it_is_lost(node: Node, source: NvmlSource) -> None:
    """Its device is still known, and the problem says so."""
    node.play(gpu(0), gpu(1), "2 0 lost 1")
    source.open()
    _, events = run(node, source, 100)
    assert told(events) == [("GPU-0", "lost")]
    assert [each.id for each in source.devices] == ["GPU-0", "GPU-1"]
    assert any("GPU-0 is lost" in problem for problem in source.problems)


def test_the_driver_is_loaded_anew(node: Node, source: NvmlSource) -> None:
    """All devices are lost, found again, and their counters begin anew."""
    node.play(gpu(0), gpu(1), "50 - reload 1")
    source.open()
    samples, events = run(node, source, 100)
    counts = Counter(told(events))
    assert counts == {
        (device, name): 1
        for device in ("GPU-0", "GPU-1")
        for name in ("lost", "recovered", "reset")
    }
    energy = [each.energy_mj for each in samples if each.device.id == "GPU-0"]
    falls = sum(after < before for before, after in pairwise(energy))  # type: ignore[operator]
    assert falls == 1


def test_no_driver(node: Node, source: NvmlSource) -> None:
    """It says how to mend it, and is there once the driver is."""
    node.play(gpu(0), "0 - absent 1", "5 - absent 0")
    assert not source.open()
    assert "modprobe nvidia" in source.problems[0]
    assert source.read(full=True).samples == []
    node.go(6)
    assert source.open()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "different versions"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "/dev/nvidiactl"),
        (pynvml.NVML_ERROR_UNKNOWN, "cannot be opened"),
    ],
)
def test_it_cannot_be_opened(node: Node, source: NvmlSource, code: int, remedy: str) -> None:
    """Each reason comes with its remedy."""
    node.play(gpu(0), f"0 - fail.Init {code}")
    assert not source.open()
    assert remedy in source.problems[0]


def test_no_library(node: Node, source: NvmlSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without NVIDIA's driver has no library to load."""
    node.play(gpu(0))
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "CDLL", lambda _name: (_ for _ in ()).throw(OSError("none")))
    assert not source.open()
    assert "libnvidia-ml.so.1 is not there" in source.problems[0]


def test_links_to_a_lost_device(node: Node, source: NvmlSource) -> None:
    """Who is at the other end is known while it is away; an end that is no GPU has its bus id."""
    node.play(gpu(0, links="1,1,2"), gpu(1, links="0,0"), gpu(2), "10 1 lost 1", "40 2 lost 1")
    source.open()
    first = source.devices[0]
    assert first.links == ("GPU-1", "GPU-1", "GPU-2")
    run(node, source, 100)
    assert source.devices[0] == first


def test_links_to_another_device_in_its_place(node: Node, source: NvmlSource) -> None:
    """Who has the bus id now counts, not who had it."""
    node.play(gpu(0, links="1"), gpu(1), "20 - reload 1", "20 1 uuid GPU-9")
    source.open()
    samples, _ = run(node, source, 100)
    first = [each.device.id for each in samples].index("GPU-9")
    told = {each.device.links for each in samples[first - 1 :] if each.device.id == "GPU-0"}
    assert told == {("GPU-9",)}
