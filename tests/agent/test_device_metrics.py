"""Metrics of devices."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from otel_llm.agent.device_metrics import UNTOLD_ROWS, DeviceMetrics
from otel_llm.clock import SYSTEM_CLOCK
from otel_llm.devices.sampler import Feed, Sampler, Taken
from otel_llm.devices.source import CallCost
from otel_llm.exporters.prometheus import MetricSet
from otel_llm.facts.device import DeviceEvent, DeviceSample, ProcessUse
from tests.devices.facts import GPU, event, sample
from tests.devices.test_sampler import Scripted, one

PART = msgspec.structs.replace(GPU, mig="MIG-a")
HW = {"hw_id": "GPU-0", "hw_name": "H100", "hw_type": "gpu"}


class Page:
    """The metrics of what was handed over."""

    def __init__(self) -> None:
        self.set = MetricSet(("device",))
        self.metrics = DeviceMetrics(self.set)

    def take(
        self, samples: Sequence[DeviceSample] = (), events: Sequence[DeviceEvent] = ()
    ) -> None:
        """Hand over."""
        self.metrics.taken(Taken(samples=samples, rows=samples, events=events))

    def value(self, name: str, **labels: str) -> float | None:
        """A sample of the GPU's on the page."""
        found: float | None = self.set.registry.get_sample_value(name, HW | labels)
        return found


@pytest.fixture
def page() -> Page:
    """An empty page."""
    return Page()


def test_gauges_in_units_of_the_conventions(page: Page) -> None:
    """Watts, shares, hertz, degrees, bytes; what is not told is not there."""
    page.take([
        sample(
            power_mw=250_500, gpu_utilization=40, sm_clock_mhz=1980, temperature_c=45,
            memory_used_bytes=7, pcie_rx_bytes_s=9, sm_active=12.5, throttle_reasons=0x44,
        )
    ])  # fmt: skip
    assert page.value("hw_power_watts") == 250.5
    assert page.value("hw_gpu_utilization_ratio") == 0.4
    assert page.value("otel_llm_device_clock_hertz", clock="sm") == 1.98e9
    assert page.value("hw_temperature_celsius") == 45
    assert page.value("hw_gpu_memory_usage_bytes", mig="") == 7
    assert page.value("hw_gpu_memory_limit_bytes", mig="") == 80 << 30
    assert page.value("otel_llm_device_io_bytes_per_second", link="pcie", direction="receive") == 9
    assert page.value("otel_llm_device_activity_ratio", mig="", part="sm") == 0.125
    throttled = {
        reason: page.value("otel_llm_device_throttled", reason=reason)
        for reason in ("sw_power_cap", "hw_thermal", "hw_slowdown")
    }
    assert throttled == {"sw_power_cap": 1, "hw_thermal": 1, "hw_slowdown": 0}
    assert page.value("otel_llm_device_clock_hertz", clock="memory") is None


def test_who_reads_it(page: Page) -> None:
    """What is a recording says so on the page too; a driver of before goes."""
    replayed = msgspec.structs.replace(GPU, source="replay", driver_version="1")
    page.take([sample(device=replayed)])
    about = {"mig": "", "mig_profile": "", "source": "replay"}
    assert page.value("otel_llm_device_info", **about, driver_version="1") == 1
    for _ in range(UNTOLD_ROWS):
        page.take([sample(device=msgspec.structs.replace(replayed, driver_version="2"))])
    drivers = [page.value("otel_llm_device_info", **about, driver_version=each) for each in "12"]
    assert drivers == [None, 1]


def test_energy_is_counted_from_reading_to_reading(page: Page) -> None:
    """What was drawn before we read is not ours, and a counter that begins anew takes nothing."""
    for energy_mj in (5_000_000, 5_001_000, 5_003_500, 100, 1_100):
        page.take([sample(energy_mj=energy_mj)])
    assert page.value("hw_energy_joules_total") == pytest.approx(4.5)


def test_errors(page: Page) -> None:
    """ECC errors as they grow, losses and resets as they happen."""
    page.take([sample(ecc_corrected=3, ecc_uncorrected=0)])
    page.take(
        [sample(ecc_corrected=5, ecc_uncorrected=1)],
        [event("lost"), event("reset"), event("unavailable")],
    )
    errors = {
        kind: page.value("hw_errors_total", error_type=kind)
        for kind in ("ecc_corrected", "ecc_uncorrected", "lost", "reset", "unavailable")
    }
    assert errors == {
        "ecc_corrected": 2, "ecc_uncorrected": 1, "lost": 1, "reset": 1, "unavailable": 1,
    }  # fmt: skip


def test_xids(page: Page) -> None:
    """By number and fault; numbers that nobody knows share one label."""
    page.take(events=[event("xid", code) for code in (79, 13, 13, 100_001, 100_002)])
    assert page.value("otel_llm_device_xids_total", code="13", fault="") == 2
    assert page.value("otel_llm_device_xids_total", code="other", fault="") == 2


def test_what_is_not_told_any_more(page: Page) -> None:
    """After a while it is no reading of now: of the device, and of an instance that is silent."""
    page.take([
        sample(temperature_c=45, throttle_reasons=4, remap_pending=True),
        sample(device=PART, memory_used_bytes=5, processes=(ProcessUse(1),)),
    ])  # fmt: skip
    for _ in range(UNTOLD_ROWS - 1):
        page.take([sample(power_mw=1000)])
    assert page.value("hw_temperature_celsius") == 45
    assert page.value("hw_gpu_memory_usage_bytes", mig="MIG-a") == 5
    page.take([sample(power_mw=1000)])
    assert page.value("hw_temperature_celsius") is None
    assert page.value("otel_llm_device_throttled", reason="sw_power_cap") is None
    assert page.value("hw_gpu_memory_usage_bytes", mig="MIG-a") is None
    assert page.value("hw_power_watts") == 1
    # What is read seldom stays.
    assert page.value("otel_llm_device_remap_pending") == 1
    page.take([sample(temperature_c=46)])
    assert page.value("hw_temperature_celsius") == 46


def test_a_lost_device_freezes_nothing(page: Page) -> None:
    """Its gauges go, its counters stay, its state says failed, until it is back."""
    page.take([sample(power_mw=1000, energy_mj=1), sample(energy_mj=2001)])
    assert page.value("hw_status", hw_state="ok") == 1
    page.take(events=[event("lost")])
    assert page.value("hw_power_watts") is None
    assert page.value("hw_energy_joules_total") == 2
    states = [page.value("hw_status", hw_state=state) for state in ("ok", "failed")]
    assert states == [0, 1]
    page.take([sample(power_mw=2000)])
    assert page.value("hw_power_watts") == 2
    assert page.value("hw_status", hw_state="failed") == 0


def test_a_device_that_another_agent_reads(page: Page) -> None:
    """It is named while that lasts, and whether it is missed; nothing of it is shown or counted."""
    page.take([sample(power_mw=1000, energy_mj=1), sample(energy_mj=2001)])
    for missed in ([], ["GPU-0"], []):
        page.metrics.taken(Taken(elsewhere=[GPU], missed=missed))
        assert page.value("otel_llm_device_elsewhere") == len(missed)
        assert page.value("hw_power_watts") is None
    page.take([sample(energy_mj=9_000_000), sample(energy_mj=9_001_000)])
    assert page.value("otel_llm_device_elsewhere") is None
    assert page.value("hw_energy_joules_total") == 3


def test_processes(page: Page) -> None:
    """How many have work on the device or instance: the last that was told, 0 too."""
    page.take([sample(processes=(ProcessUse(1), ProcessUse(2), ProcessUse(2)))])
    page.take([sample(device=PART, processes=(ProcessUse(1),))])
    name = "otel_llm_device_processes"
    assert (page.value(name, mig=""), page.value(name, mig="MIG-a")) == (2, 1)
    page.take([sample(power_mw=1)])
    assert page.value(name, mig="") == 2
    page.take([sample(processes=())])
    assert page.value(name, mig="") == 0


def test_instances_that_are_gone(page: Page) -> None:
    """Their gauges go with them; the device's own stay, and its instances' come again."""
    page.take([sample(power_mw=1000), sample(device=PART, memory_used_bytes=5)])
    page.take(events=[event("parted")])
    assert page.value("hw_power_watts") == 1
    assert page.value("hw_gpu_memory_usage_bytes", mig="MIG-a") is None
    page.take([sample(device=PART, memory_used_bytes=6)])
    page.take(events=[event("lost")])
    assert page.value("hw_gpu_memory_usage_bytes", mig="MIG-a") is None


@pytest.mark.parametrize("name", ["sm", "sm_occupancy", "tensor", "dram"])
def test_activity_is_a_share(page: Page, name: str) -> None:
    """GPM tells percent, of a device and of each instance."""
    field = name if name == "sm_occupancy" else f"{name}_active"
    page.take([sample(**{field: 12.5}), sample(device=PART, **{field: 50})])
    shares = [
        page.value("otel_llm_device_activity_ratio", mig=mig, part=name) for mig in ("", "MIG-a")
    ]
    assert shares == [0.125, 0.5]


def test_two_sources_of_one_name(page: Page) -> None:
    """Each counts for itself."""
    sources = [Scripted(one), Scripted(one)]
    sources[0].calls = {"read": CallCost(7, 0, 0, 1, 0)}
    sources[1].calls = {"read": CallCost(3, 0, 0, 1, 0)}
    for _ in range(2):
        page.metrics.show(Sampler(sources, SYSTEM_CLOCK, 1.0, 1.0).feeds)
    calls = [
        page.set.registry.get_sample_value(
            "otel_llm_device_calls_total", {"source": source, "call": "read"}
        )
        for source in ("nvml", "nvml-2")
    ]
    assert calls == [7, 3]


def test_our_own_cost(page: Page) -> None:
    """Calls, failures and time of each source, its age, and what was missed."""
    source = Scripted(one)
    costs: list[Mapping[str, CallCost]] = [
        {"read": CallCost(3, 1, 2_000_000_000, 7, 1)},
        {"read": CallCost(5, 1, 3_000_000_000, 7, 1)},
    ]
    for cost in costs:
        source.calls = cost
        page.metrics.show([Feed(source, "nvml", True, 0.25, 4, 2)])
    found = {
        name: page.set.registry.get_sample_value(f"otel_llm_device_{name}", labels)
        for name, labels in {
            "calls_total": {"source": "nvml", "call": "read"},
            "call_failures_total": {"source": "nvml", "call": "read"},
            "call_seconds_total": {"source": "nvml", "call": "read"},
            "unsupported": {"source": "nvml", "call": "read"},
            "age_seconds": {"source": "nvml"},
            "missed_rounds_total": {"source": "nvml"},
            "failed_rounds_total": {"source": "nvml"},
        }.items()
    }
    assert found == {
        "calls_total": 5, "call_failures_total": 1, "call_seconds_total": 3.0, "unsupported": 1,
        "age_seconds": 0.25, "missed_rounds_total": 4, "failed_rounds_total": 2,
    }  # fmt: skip


def test_a_source_that_cannot_be_read(page: Page) -> None:
    """Its age is -1, so that an alert can tell."""
    page.metrics.show([Feed(Scripted(one), "nvml", False, 3.0, 0, 0)])
    age = page.set.registry.get_sample_value("otel_llm_device_age_seconds", {"source": "nvml"})
    assert age == -1
