"""The NVML source, through the real pynvml, against scripted GPUs."""

from collections import Counter

import pynvml
import pytest

from otel_llm.devices.nvml import NvmlSource
from otel_llm.facts.device import ProcessUse
from tests.devices.node import Node, gpu, run


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
    links = source.calls["nvmlDeviceGetNvLinkState"]
    assert (links.supported, links.unsupported, links.failed) == (2, 0, 0)
    assert source.problems == []


@pytest.mark.parametrize(
    ("told", "shown"), [(13000, "13.0"), (12080, "12.8"), (12100, "12.10"), (0, "0.0")]
)
def test_versions_of_cuda(node: Node, source: NvmlSource, told: int, shown: str) -> None:
    """The driver tells one number; people know it by two."""
    node.play(gpu(0), f"0.1 - cuda {told}")
    node.go(0.2)
    source.open()
    assert source.devices[0].cuda_version == shown


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
        "nvmlDeviceGetFieldValues": 2, "energy_mj": 2, "power_mw": 2,
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
    """A driver without the fields of power still tells its average, in every reading."""
    node.play(gpu(0), "0 0 fail.field.185 3", "0 0 fail.field.186 3")
    source.open()
    for full in (False, True):
        [sample] = source.read(full=full).samples
        assert (sample.power_mw, sample.power_average_mw) == (None, 101_000)


def test_memory_is_what_others_use(node: Node, source: NvmlSource) -> None:
    """As `nvidia-smi` says: without what the driver keeps for itself."""
    node.play(gpu(0, memory_reserved=500_000))
    source.open()
    [sample] = source.read(full=True).samples
    assert (sample.memory_used_bytes, sample.device.memory_bytes) == (1_000_000, 85_899_345_920)


def test_memory_by_the_older_call(node: Node, source: NvmlSource) -> None:
    """Where the newer one is missing the older is asked, which has it all; not where it fails."""
    call = "fail.DeviceGetMemoryInfo_v2"
    node.play(
        gpu(0, memory_reserved=500_000), gpu(1, memory_reserved=500_000),
        f"0 0 {call} {pynvml.NVML_ERROR_FUNCTION_NOT_FOUND}",
        f"1 1 {call} {pynvml.NVML_ERROR_UNKNOWN}",
    )  # fmt: skip
    source.open()
    node.go(1)
    used = [sample.memory_used_bytes for sample in source.read(full=True).samples]
    assert used == [1_500_000, None]


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
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
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


def test_a_counter_that_fell_gives_no_rate(node: Node, source: NvmlSource) -> None:
    """No rate is better than one below zero, or a huge one; the next reading has one again."""
    node.play(gpu(0), "1 0 pcie_rx_bytes 5000", "2 0 pcie_rx_bytes 100", "3 0 pcie_rx_bytes 400")
    source.open()
    rates = [sample.pcie_rx_bytes_s for sample in run(node, source, 3)[0]]
    assert rates == [None, None, 300]


def test_processes(node: Node, source: NvmlSource) -> None:
    """Who has memory and kernels on the device, by the host's pid, with the slow readings.

    Nobody is empty; not read, and not told, are null.
    """
    node.play(
        gpu(0, processes="41,1000,30;42,2000,5"), gpu(1),
        "5 0 processes 42,2000,90", "15 0 processes -",
    )  # fmt: skip
    source.open()
    node.go(1)
    first, second = source.read(full=True).samples
    assert first.processes == (ProcessUse(41, 1000, 30), ProcessUse(42, 2000, 5))
    assert second.processes is None
    node.go(6)
    assert source.read(full=True).samples[0].processes is None
    node.go(6)
    assert source.read(full=True).samples[0].processes == (ProcessUse(42, 2000, 90),)
    node.go(10)
    assert source.read(full=True).samples[0].processes == ()


def test_a_share_is_of_the_time_since_the_last_reading(node: Node) -> None:
    """What NVML told before is not asked for again: a process that is idle now has no share."""
    node.play(gpu(0, processes="41,1000,30"))
    source = node.source(slow_s=1e-9)
    source.open()
    node.go(1)
    told = [source.read(full=True).samples[0].processes]
    node.clock.advance(1_000_000)
    told.append(source.read(full=True).samples[0].processes)
    assert told == [(ProcessUse(41, 1000, 30),), (ProcessUse(41, 1000, None),)]


def test_a_slow_call_is_told(node: Node, source: NvmlSource) -> None:
    """The latency that NVML reports is our self-metric."""
    node.play(gpu(0), "0 0 slow.DeviceGetFieldValues 3000")
    source.open()
    source.read(full=False)
    cost = source.calls["energy_mj"]
    assert cost.total_ns == pytest.approx(1_500_000)
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
    """The driver's wish for a reset is an event, with its number, once; so is that it has none."""
    node.play(gpu(0), "15 0 recovery_action 1", "25 0 recovery_action 0")
    source.open()
    _, events = run(node, source, 40)
    assert [(each.event, each.code, each.message) for each in events] == [
        ("recovery_action", 1, "reset the GPU"),
        ("recovery_action", 0, "none"),
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
