"""MIG instances that come and go while they are read, and the losses of parted devices."""

from collections import Counter

import pynvml

from otel_llm.devices.nvml import NvmlSource
from tests.devices.node import Node, gpu, run, told

SMALL, LARGE = "MIG-a 1g.10gb 7 111 1000", "MIG-b 3g.40gb 2 222 4000"


def parts(source: NvmlSource) -> list[str]:
    """Instances that are known."""
    return [device.mig for device in source.devices if device.mig]


def test_instances(node: Node, source: NvmlSource) -> None:
    """Instances are devices beside their parent, with memory and GPM; energy stays with it."""
    node.play(
        gpu(
            0,
            mig0="MIG-a 1g.10gb 7 111 1000 75",
            mig3="MIG-b 3g.40gb 2 222 4000 12.5",
        )
    )
    source.open()
    parent, small, large = source.devices
    assert (parent.mig, small.mig, large.mig) == ("", "MIG-a", "MIG-b")
    assert (small.id, small.mig_profile, large.mig_profile) == ("GPU-0", "1g.10gb", "3g.40gb")
    assert (small.memory_bytes, large.memory_bytes) == (1000, 4000)
    node.go(1)
    samples = source.read(full=True).samples
    assert [each.memory_used_bytes for each in samples] == [1_000_000, 111, 222]
    assert [each.energy_mj for each in samples] == [100_000, None, None]
    quick = source.read(full=False).samples
    assert [each.device.mig for each in quick] == ["", "MIG-a", "MIG-b"]
    node.go(1)
    samples = source.read(full=True).samples
    assert [each.sm_active for each in samples] == [50, 75, 12.5]


def test_a_device_that_is_parted_while_it_is_read(node: Node, source: NvmlSource) -> None:
    """Instances are read from the next slow round on, and go when they are removed."""
    node.play(
        gpu(0), gpu(1), f"15 0 mig0 {SMALL}", f"15 0 mig1 {LARGE}", "45 0 mig1 -", "75 0 mig0 -"
    )
    source.open()
    samples, events = run(node, source, 30)
    assert parts(source) == ["MIG-a", "MIG-b"]
    assert [each.device.mig for each in samples[-4:]] == ["", "", "MIG-a", "MIG-b"]
    assert [each.memory_used_bytes for each in samples[-2:]] == [111, 222]
    _, later = run(node, source, 30)
    assert parts(source) == ["MIG-a"]
    _, last = run(node, source, 30)
    assert parts(source) == []
    assert [(each.device.mig, each.event, each.message) for each in [*events, *later, *last]] == [
        ("", "parted", "its MIG instances are now 1g.10gb, 3g.40gb"),
        ("", "parted", "its MIG instances are now 1g.10gb"),
        ("", "parted", "it is parted no more"),
    ]


def test_what_stays_the_same_is_no_event(node: Node, source: NvmlSource) -> None:
    """Instances that were there at the start, and a refusal to tell of them, say nothing."""
    unknown = pynvml.NVML_ERROR_UNKNOWN
    call = "fail.DeviceGetMigDeviceHandleByIndex"
    mode = "fail.DeviceGetMigMode"
    node.play(
        gpu(0, mig0=SMALL),
        *(f"15 0 {call} {unknown}", f"35 0 {call} 0"),
        *(f"45 0 {mode} {unknown}", f"65 0 {mode} 0"),
    )
    source.open()
    samples, events = run(node, source, 90)
    assert events == []
    assert Counter(each.device.mig for each in samples) == {"": 90, "MIG-a": 90}
    # Nor is anything read anew: every rate but the first is there.
    rates = [each.pcie_rx_bytes_s for each in samples if not each.device.mig]
    assert rates == [None] + [0] * 89


def test_what_mig_refuses_is_back_without_it(node: Node, source: NvmlSource) -> None:
    """Utilization, a field and GPM: refused while MIG is on, with instances or none."""
    field = f"fail.field.{pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES}"
    node.play(
        gpu(0), f"15 0 {field} {pynvml.NVML_ERROR_NOT_SUPPORTED}", f"65 0 {field} 0",
        "15 0 mig_mode 1", f"25 0 mig0 {SMALL}", "45 0 mig0 -", "65 0 mig_mode 0",
        "15 0 gpm 0", "65 0 gpm 1",
    )  # fmt: skip
    source.open()
    samples, _ = run(node, source, 90)
    told = [
        (each.gpu_utilization, each.pcie_rx_bytes_s, each.sm_active)
        for each in samples
        if not each.device.mig
    ]
    # MIG's switch is noticed with the slow readings.
    assert (set(told[25:65]), told[-1]) == ({(None, None, None)}, (40, 0, 50))
    costs = source.calls
    asked = ("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetNvLinkState")
    # Links were asked for before MIG alone: nothing is known of them now.
    assert [(costs[each].supported, costs[each].unsupported) for each in asked] == [(1, 0), (0, 0)]


def test_a_name_that_comes_again(node: Node, source: NvmlSource) -> None:
    """What a removed instance refused is asked for again of the next of its name."""
    node.play(gpu(0, mig0=SMALL), "15 0 mig0 -", "35 0 mig0 MIG-a 1g.10gb 7 555 1000")
    source.open()
    samples, _ = run(node, source, 50)
    assert (samples[-1].device.mig, samples[-1].memory_used_bytes) == ("MIG-a", 555)


def test_a_parted_device_is_lost_once(node: Node, source: NvmlSource) -> None:
    """One loss and one recovery, however many instances it has; all of them are read again."""
    node.play(gpu(0, mig0=SMALL, mig1=LARGE), gpu(1), "10 0 lost 1", "30 0 lost 0")
    source.open()
    _, events = run(node, source, 15)
    assert told(events) == [("GPU-0", "lost")]
    assert parts(source) == ["MIG-a", "MIG-b"]
    samples, events = run(node, source, 100)
    assert told(events) == [("GPU-0", "recovered")]
    assert {each.device.mig for each in samples[-4:]} == {"", "MIG-a", "MIG-b"}
    assert source.problems == []


def test_an_instance_that_is_lost_alone(node: Node, source: NvmlSource) -> None:
    """Its device goes on; the instance is looked for again, and no event is made of it."""
    node.play(gpu(0, mig0=SMALL), "10 0 mig_gone 1", "30 0 mig_gone 0")
    source.open()
    samples, events = run(node, source, 20)
    assert Counter(each.device.mig for each in samples) == {"": 20, "MIG-a": 9}
    later, more = run(node, source, 25)
    assert later[-1].device.mig == "MIG-a"
    assert ([*events, *more], source.problems) == ([], [])


def test_the_search_for_instances_finds_a_loss(node: Node, source: NvmlSource) -> None:
    """A device that is lost while it is asked for its instances is lost like any other."""
    lost = pynvml.NVML_ERROR_GPU_IS_LOST
    node.play(gpu(0), gpu(1), f"15 0 fail.DeviceGetMigMode {lost}", "22 0 fail.DeviceGetMigMode 0")
    source.open()
    _, events = run(node, source, 120)
    assert told(events) == [("GPU-0", "lost"), ("GPU-0", "recovered")]
