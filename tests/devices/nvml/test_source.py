"""The NVML source, through the real pynvml, against scripted GPUs."""

from collections import Counter
from itertools import pairwise

import pynvml
import pytest

from otel_llm.devices.nvml import NvmlSource
from otel_llm.facts.device import DeviceEvent, DeviceSample
from tests.devices.node import Node, gpu


def told(events: list[DeviceEvent]) -> list[tuple[str, str]]:
    """Device and name of each event."""
    return [(each.device.id, each.event) for each in events]


def test_what_a_device_is(node: Node, source: NvmlSource) -> None:
    """UUID, product, bus, limit, memory, driver, CUDA and whom its links reach."""
    node.play(gpu(0, links="1,1,-"), gpu(1, links="0,0"))
    assert source.open()
    first, second = source.devices
    assert (first.id, first.kind, first.source, first.index) == ("GPU-0", "gpu", "nvml", 0)
    assert (first.name, first.pci) == ("NVIDIA H100 80GB HBM3", "00000000:00:00.0")
    assert (first.driver_version, first.cuda_version) == ("580.95.05", "13.0")
    assert (first.power_limit_mw, first.memory_bytes) == (700_000, 85_899_345_920)
    assert (first.links, second.links) == (("GPU-1", "GPU-1"), ("GPU-0", "GPU-0"))
    assert source.problems == []


def test_a_full_reading(node: Node, source: NvmlSource) -> None:
    """Every group in one sample; rates and GPM need a second one."""
    node.play(
        gpu(0, throttle=4),
        *("1 0 pcie_rx_bytes 5000", "1 0 pcie_tx_bytes 7000"),
        *("1 0 nvlink_rx_kib 10", "1 0 nvlink_tx_kib 20"),
    )
    source.open()
    node.go(0.5)
    [first] = source.read(full=True).samples
    assert (first.pcie_rx_bytes_s, first.sm_active) == (None, None)
    node.go(1.0)
    [sample] = source.read(full=True).samples
    assert (sample.energy_mj, sample.power_mw, sample.power_average_mw) == (
        150_000,
        100_000,
        101_000,
    )
    assert (sample.gpu_utilization, sample.memory_utilization) == (40, 20)
    assert (sample.memory_used_bytes, sample.temperature_c, sample.throttle_reasons) == (
        1_000_000, 45, 4,
    )  # fmt: skip
    assert (sample.sm_clock_mhz, sample.memory_clock_mhz) == (1980, 2619)
    assert (sample.pcie_rx_bytes_s, sample.pcie_tx_bytes_s) == (5000, 7000)
    assert (sample.nvlink_rx_bytes_s, sample.nvlink_tx_bytes_s) == (10_240, 20_480)
    gpm = (sample.sm_active, sample.sm_occupancy, sample.tensor_active, sample.dram_active)
    assert gpm == pytest.approx((50, 30, 25, 60))
    # Read with the slow ones, which were due at the first reading alone.
    assert (first.ecc_uncorrected, first.remap_pending) == (0, False)
    assert (sample.ecc_uncorrected, sample.remap_pending) == (None, None)


def test_a_quick_reading_asks_for_power_alone(node: Node, source: NvmlSource) -> None:
    """Between full readings one call per device is made."""
    node.play(gpu(0), gpu(1))
    source.open()
    before = Counter({name: cost.made for name, cost in source.calls.items()})
    samples = source.read(full=False).samples
    made = Counter({name: cost.made for name, cost in source.calls.items()}) - before
    assert made == {
        "nvmlDeviceGetFieldValues": 2, "energy_mj": 2, "power_mw": 2, "power_average_mw": 2,
    }  # fmt: skip
    assert [(each.power_mw, each.gpu_utilization) for each in samples] == [(100_000, None)] * 2


def test_a_group_that_is_off_is_never_asked_for(node: Node) -> None:
    """`device_groups` decides what is read."""
    node.play(gpu(0))
    source = node.source(groups={"power"})
    source.open()
    source.read(full=True)
    opening = {"nvmlSystemGetDriverVersion", "nvmlSystemGetCudaDriverVersion_v2"}
    assert not [
        name
        for name in source.calls
        if any(word in name for word in ("Clock", "Temp", "Util", "Gpm", "ecc", "link", "pcie"))
        and name not in opening
    ]


def test_the_counter_moves_in_steps(node: Node, source: NvmlSource) -> None:
    """As on the real thing, energy grows every 100 ms, not with every read."""
    node.play(gpu(0))
    source.open()
    values = []
    for _ in range(40):
        node.go(0.025)
        values.append(source.read(full=False).samples[0].energy_mj)
    assert len(set(values)) == 11
    assert values[-1] == 100_000


def test_what_is_not_supported_is_asked_for_once(node: Node, source: NvmlSource) -> None:
    """Calls, fields and whole groups; the other device is not concerned."""
    lacks = dict.fromkeys(
        ("watts_average", "temperature", "nvlink_rx_kib", "nvlink_tx_kib", "gpm", "throttle"), ""
    )
    node.play(gpu(0, **lacks), gpu(1))
    source.open()
    for _ in range(5):
        node.go(1)
        lacking, whole = source.read(full=True).samples
    assert (lacking.temperature_c, lacking.power_average_mw, lacking.sm_active) == (
        None,
        None,
        None,
    )
    assert (whole.temperature_c, whole.power_average_mw, whole.sm_active) == (45, 101_000, 50)
    cost = source.calls["nvmlDeviceGetTemperature"]
    assert (cost.made, cost.supported, cost.unsupported, cost.failed) == (6, 1, 1, 0)
    assert source.calls["nvlink_rx_kib"].made == 6
    assert source.problems == []


def test_power_by_the_older_call(node: Node, source: NvmlSource) -> None:
    """A driver without the fields of power still tells its average."""
    node.play(gpu(0), "0 0 fail.field.185 3", "0 0 fail.field.186 3")
    source.open()
    [sample] = source.read(full=False).samples
    assert (sample.power_mw, sample.power_average_mw) == (None, 101_000)


PERMANENT = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
)
PASSING = (
    pynvml.NVML_ERROR_UNKNOWN,
    pynvml.NVML_ERROR_NO_DATA,
    pynvml.NVML_ERROR_NOT_READY,
    pynvml.NVML_ERROR_TIMEOUT,
    pynvml.NVML_ERROR_IN_USE,
)
LOSSES = (
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_RESET_REQUIRED,
    pynvml.NVML_ERROR_GPU_NOT_FOUND,
)


@pytest.mark.parametrize("code", PERMANENT)
def test_errors_for_good(node: Node, source: NvmlSource, code: int) -> None:
    """The call is never made again, the rest of the sample stands."""
    node.play(gpu(0), f"0 0 fail.DeviceGetUtilizationRates {code}")
    source.open()
    for _ in range(3):
        node.go(1)
        [sample] = source.read(full=True).samples
    assert (sample.gpu_utilization, sample.power_mw) == (None, 100_000)
    cost = source.calls["nvmlDeviceGetUtilizationRates"]
    assert (cost.made, cost.failed, cost.unsupported) == (1, 0, 1)
    forbidden = code == pynvml.NVML_ERROR_NO_PERMISSION
    problem = "GPU-0: nvmlDeviceGetUtilizationRates is not permitted to this user"
    assert source.problems == ([problem] if forbidden else [])


@pytest.mark.parametrize("code", PASSING)
def test_errors_that_pass(node: Node, source: NvmlSource, code: int) -> None:
    """The reading is missing while the call fails, which is counted, and is back afterwards."""
    call = "DeviceGetUtilizationRates"
    node.play(gpu(0), f"0 0 fail.{call} {code}", f"2.5 0 fail.{call} 0")
    source.open()
    seen = []
    for _ in range(4):
        node.go(1)
        seen.append(source.read(full=True).samples[0].gpu_utilization)
    assert seen == [None, None, 40, 40]
    cost = source.calls[f"nvml{call}"]
    assert (cost.made, cost.failed, cost.unsupported) == (4, 2, 0)


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


def run(
    node: Node, source: NvmlSource, seconds: int
) -> tuple[list[DeviceSample], list[DeviceEvent]]:
    """Read once a second for so long."""
    samples, events = list[DeviceSample](), list[DeviceEvent]()
    for _ in range(seconds):
        node.go(1)
        reading = source.read(full=True)
        samples += reading.samples
        events += reading.events
    return samples, events


def test_lost_and_recovered(node: Node, source: NvmlSource) -> None:
    """A GPU that falls off and comes back is found again without a restart."""
    node.play(gpu(0), gpu(1), "10 0 lost 1", "40 0 lost 0")
    source.open()
    samples, events = run(node, source, 200)
    assert told(events) == [("GPU-0", "lost"), ("GPU-0", "recovered")]
    by_device = Counter(each.device.id for each in samples)
    assert by_device["GPU-1"] == 200
    # It is tried again with longer and longer waits, a minute at most.
    assert 200 - 31 - 60 <= by_device["GPU-0"] < 200 - 30
    assert source.problems == []


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


@pytest.mark.parametrize("call", ["nvmlGpmSampleFree", "nvmlEventSetFree"])
def test_a_clean_up_that_fails(
    node: Node, source: NvmlSource, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A driver that has gone takes nothing back; the devices are found again all the same."""

    def refused(*_given: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)

    monkeypatch.setattr(pynvml, call, refused)
    node.play(gpu(0), "10 - reload 1")
    source.open()
    samples, events = run(node, source, 120)
    assert [name for _, name in told(events)] == ["lost", "recovered", "reset"]
    assert len(samples) >= 120 - 60


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


def test_mig(node: Node, source: NvmlSource) -> None:
    """Instances are devices beside their parent, with their own memory; energy stays with it."""
    node.play(
        gpu(
            0,
            mig0="MIG-a 1g.10gb 7 111 1000",
            mig3="MIG-b 3g.40gb 2 222 4000",
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


def test_processes(node: Node, source: NvmlSource) -> None:
    """Who has memory and kernels on the device, by the host's pid, with the slow readings."""
    node.play(gpu(0, processes="41,1000,30;42,2000,5"), "5 0 processes 42,2000,90")
    source.open()
    first = source.read(full=True).processes
    assert [(each.pid, each.memory_bytes) for each in first] == [(41, 1000), (42, 2000)]
    node.go(6)
    assert source.read(full=True).processes == []
    node.go(6)
    [later] = source.read(full=True).processes
    assert (later.pid, later.memory_bytes, later.utilization) == (42, 2000, 90)


def test_a_slow_call_is_told(node: Node, source: NvmlSource) -> None:
    """The latency that NVML reports is our self-metric."""
    node.play(gpu(0), "0 0 slow.DeviceGetFieldValues 3000")
    source.open()
    source.read(full=False)
    cost = source.calls["energy_mj"]
    assert cost.total_ns == pytest.approx(1_000_000)
    assert source.calls["nvmlDeviceGetFieldValues"].total_ns >= 3_000_000


def test_steps_of_the_wall_clock(node: Node, source: NvmlSource) -> None:
    """Stamps are monotonic; a wall clock set back by an hour changes the anchor alone."""
    node.play(gpu(0))
    source.open()
    node.go(1)
    [before] = source.read(full=False).samples
    node.clock.step_wall(-3_600_000_000_000)
    node.go(1)
    [after] = source.read(full=False).samples
    assert after.at_ns - before.at_ns == 1_000_000_000
    assert after.anchor.wall_ns - before.anchor.wall_ns == 1_000_000_000 - 3_600_000_000_000


def test_a_recovery_action_that_is_due(node: Node, source: NvmlSource) -> None:
    """The driver's wish for a reset is an event, with its number, once."""
    node.play(gpu(0), "15 0 recovery_action 1")
    source.open()
    _, events = run(node, source, 40)
    assert [(each.event, each.code, each.message) for each in events] == [
        ("recovery_action", 1, "reset the GPU")
    ]


def test_a_day_in_seconds(node: Node, source: NvmlSource) -> None:
    """A day of changing load: every joule of it is in the counter that we read."""
    hours = [f"{3600 * hour} 0 watts {100 + 25 * hour}" for hour in range(1, 24)]
    node.play(gpu(0), *hours)
    source.open()
    for _ in range(24 * 60):
        node.go(60)
        [sample] = source.read(full=False).samples
    joules = sum(3600 * (100 + 25 * hour) for hour in range(24))
    assert sample.energy_mj == joules * 1000
    assert sample.power_mw == 675_000
