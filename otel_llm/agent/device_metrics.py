"""Metrics of devices, made from what the sampler hands over."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeAlias

from otel_llm.conventions import Metric, Metrics
from otel_llm.devices import xid
from otel_llm.devices.sampler import Feed, Taken
from otel_llm.exporters.prometheus import MetricSet
from otel_llm.facts.device import Device, DeviceEvent, DeviceSample

_THROTTLES = {
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
}
"""`nvmlClocksEventReason*` of nvml.h, but for those that harm nothing (idle, set clocks)."""


class _Part(NamedTuple):
    """A gauge that one field of a sample sets.

    Attributes:
        field: the sample's.
        metric: the gauge.
        more: its own labels, behind the device's.
        scale: from the field's unit to the gauge's.
        of_instances: MIG instances have it too, told apart by a label.
    """

    field: str
    metric: Metric
    more: tuple[str, ...] = ()
    scale: float = 1.0
    of_instances: bool = False

    def labels(self, device: Device) -> tuple[str, ...]:
        """All labels."""
        return (*_labels(device), *((device.mig,) if self.of_instances else ()), *self.more)


_PARTS = (
    _Part("memory_used_bytes", Metrics.HW_GPU_MEMORY, of_instances=True),
    _Part("temperature_c", Metrics.HW_TEMPERATURE),
    _Part("gpu_utilization", Metrics.HW_GPU_UTILIZATION, scale=0.01),
    _Part("sm_clock_mhz", Metrics.DEVICE_CLOCK, ("sm",), 1e6),
    _Part("memory_clock_mhz", Metrics.DEVICE_CLOCK, ("memory",), 1e6),
    _Part("pcie_rx_bytes_s", Metrics.DEVICE_IO, ("pcie", "receive")),
    _Part("pcie_tx_bytes_s", Metrics.DEVICE_IO, ("pcie", "transmit")),
    _Part("nvlink_rx_bytes_s", Metrics.DEVICE_IO, ("nvlink", "receive")),
    _Part("nvlink_tx_bytes_s", Metrics.DEVICE_IO, ("nvlink", "transmit")),
    _Part("sm_active", Metrics.DEVICE_ACTIVITY, ("sm",), 0.01, of_instances=True),
    _Part("sm_occupancy", Metrics.DEVICE_ACTIVITY, ("sm_occupancy",), 0.01, of_instances=True),
    _Part("tensor_active", Metrics.DEVICE_ACTIVITY, ("tensor",), 0.01, of_instances=True),
    _Part("dram_active", Metrics.DEVICE_ACTIVITY, ("dram",), 0.01, of_instances=True),
    _Part("remapped_rows_corrected", Metrics.DEVICE_REMAPPED, ("corrected",)),
    _Part("remapped_rows_uncorrected", Metrics.DEVICE_REMAPPED, ("uncorrected",)),
    _Part("remap_pending", Metrics.DEVICE_REMAP_PENDING),
)
_SELDOM = (
    Metrics.DEVICE_REMAPPED, Metrics.DEVICE_REMAP_PENDING, Metrics.DEVICE_PROCESSES,
)  # fmt: skip
"""Most full readings do not have them."""
UNTOLD_ROWS = 30
"""After so many full readings without it a gauge goes: half a minute, unless set otherwise."""
_Gauge: TypeAlias = tuple[Metric, tuple[str, ...]]
_COUNTERS = ("energy_mj", "ecc_corrected", "ecc_uncorrected")


class DeviceMetrics:
    """Observes samples and events.

    A device that is lost keeps its counters; its gauges go, so that no old reading passes for one
    of now. So does a gauge that is not told any more.

    Args:
        metrics: where they are kept.
    """

    def __init__(self, metrics: MetricSet) -> None:
        self._metrics = metrics
        self._counters: dict[tuple[str, str], int] = {}
        self._seen: dict[str, int] = {}
        # By UUIDs of device and instance.
        self._gauges: dict[tuple[str, str], dict[_Gauge, int]] = {}
        self._elsewhere: set[tuple[str, str, str]] = set()
        # Full readings of each device so far; gauges remember when they were set.
        self._rows: Counter[str] = Counter()

    def taken(self, taken: Taken) -> None:
        """Something was handed over."""
        for sample in taken.samples:
            self._sample(sample)
        for device in {row.device.id for row in taken.rows}:
            self._drop_untold(device)
        for event in taken.events:
            self._event(event)
        self._metrics.counter(Metrics.DEVICE_DROPPED).labels().inc(taken.dropped)
        self._note_elsewhere(taken.elsewhere, taken.missed)

    def show(self, feeds: Sequence[Feed]) -> None:
        """Set what is now of each source."""
        for feed in feeds:
            name = feed.label
            age_s = feed.age_s if feed.is_open and feed.age_s is not None else -1.0
            self._metrics.gauge(Metrics.DEVICE_AGE).labels(name).set(age_s)
            self._count_up(Metrics.DEVICE_MISSED, (name,), feed.missed)
            self._count_up(Metrics.DEVICE_FAILED, (name,), feed.failed)
            for call, cost in feed.source.calls.items():
                labels = (name, call)
                self._count_up(Metrics.DEVICE_CALLS, labels, cost.made)
                self._count_up(Metrics.DEVICE_CALL_FAILURES, labels, cost.failed)
                self._count_up(Metrics.DEVICE_CALL_SECONDS, labels, cost.total_ns, 1e-9)
                self._metrics.gauge(Metrics.DEVICE_UNSUPPORTED).labels(*labels).set(
                    cost.unsupported
                )

    def _note_elsewhere(self, devices: Sequence[Device], missed: Collection[str]) -> None:
        """What another agent reads is its to show and to count."""
        gauge = self._metrics.gauge(Metrics.DEVICE_ELSEWHERE)
        for device in devices:
            if _labels(device) not in self._elsewhere:
                self._drop_gauges(device.id)
                for name in _COUNTERS:
                    self._counters.pop((_who(device), name), None)
            gauge.labels(*_labels(device)).set(int(device.id in missed))
        now = {_labels(device) for device in devices}
        for labels in self._elsewhere - now:
            gauge.remove(*labels)
        self._elsewhere = now

    def _sample(self, sample: DeviceSample) -> None:
        device, labels = sample.device, _labels(sample.device)
        about = (device.mig, device.mig_profile, device.driver_version, device.source)
        self._set(device, Metrics.DEVICE_INFO, (*labels, *about), 1)
        for part in _PARTS:
            value = getattr(sample, part.field)
            if value is not None:
                self._set(device, part.metric, part.labels(device), value * part.scale)
        power_mw = sample.power_average_mw if sample.power_mw is None else sample.power_mw
        if power_mw is not None:
            self._set(device, Metrics.HW_POWER, labels, power_mw / 1000)
        if device.memory_bytes is not None:
            limit = Metrics.HW_GPU_MEMORY_LIMIT
            self._set(device, limit, (*labels, device.mig), device.memory_bytes)
        if sample.processes is not None:
            count = len({use.pid for use in sample.processes})
            self._set(device, Metrics.DEVICE_PROCESSES, (*labels, device.mig), count)
        if sample.throttle_reasons is not None:
            for reason, bit in _THROTTLES.items():
                held = bool(sample.throttle_reasons & bit)
                self._set(device, Metrics.DEVICE_THROTTLED, (*labels, reason), held)
        self._status(device, "ok")
        self._grow(sample)

    def _grow(self, sample: DeviceSample) -> None:
        """Counters of the device, from one reading to the next; one that fell began anew."""
        labels = _labels(sample.device)
        for name in _COUNTERS:
            value = getattr(sample, name)
            if value is None:
                continue
            key = (_who(sample.device), name)
            grown = value - self._counters.get(key, value)
            self._counters[key] = value
            if name == "energy_mj":
                counter = self._metrics.counter(Metrics.HW_ENERGY).labels(*labels)
                counter.inc(max(0, grown) / 1000)
            else:
                self._metrics.counter(Metrics.HW_ERRORS).labels(*labels, name).inc(max(0, grown))

    def _event(self, event: DeviceEvent) -> None:
        labels = _labels(event.device)
        if event.event == "xid":
            known = event.code in xid.table()
            counter = self._metrics.counter(Metrics.DEVICE_XIDS)
            code = str(event.code) if known else "other"
            counter.labels(*labels, code, event.fault).inc(event.occurrences)
        elif event.event in ("lost", "reset", "unavailable"):
            counter = self._metrics.counter(Metrics.HW_ERRORS)
            counter.labels(*labels, event.event).inc(event.occurrences)
        if event.event == "lost":
            self._drop_gauges(event.device.id)
            self._status(event.device, "failed")
        elif event.event == "parted":
            self._drop_gauges(event.device.id, instances_alone=True)

    def _status(self, device: Device, state: str) -> None:
        if device.mig:
            return
        for each in ("ok", "failed"):
            gauge = self._metrics.gauge(Metrics.HW_STATUS).labels(*_labels(device), each)
            gauge.set(each == state)

    def _set(self, device: Device, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        self._metrics.gauge(metric).labels(*labels).set(value)
        gauges = self._gauges.setdefault((device.id, device.mig), {})
        gauges[metric, labels] = self._rows[device.id]

    def _drop_untold(self, device: str) -> None:
        """What a device and its instances have not told for long is not known any more."""
        self._rows[device] += 1
        last = self._rows[device] - UNTOLD_ROWS
        for key in [key for key in self._gauges if key[0] == device]:
            for gauge, told in list(self._gauges[key].items()):
                if told < last and gauge[0] not in _SELDOM:
                    del self._gauges[key][gauge]
                    self._metrics.gauge(gauge[0]).remove(*gauge[1])

    def _drop_gauges(self, device: str, *, instances_alone: bool = False) -> None:
        """Of a device and its instances; those that are still there come again with a sample."""
        for key in [key for key in self._gauges if key[0] == device]:
            if key[1] or not instances_alone:
                for metric, labels in self._gauges.pop(key):
                    self._metrics.gauge(metric).remove(*labels)

    def _count_up(
        self, metric: Metric, labels: tuple[str, ...], total: int, scale: float = 1.0
    ) -> None:
        """Bring a counter to what somebody else has counted."""
        key = ".".join((metric.name, *labels))
        grown = total - self._seen.get(key, 0)
        self._seen[key] = total
        self._metrics.counter(metric).labels(*labels).inc(max(0, grown) * scale)


def _who(device: Device) -> str:
    return f"{device.source}:{device.id}"


def _labels(device: Device) -> tuple[str, str, str]:
    kinds = {"gpu": "gpu", "cpu": "cpu", "dram": "memory"}
    return (device.id, device.name, kinds[device.kind])
