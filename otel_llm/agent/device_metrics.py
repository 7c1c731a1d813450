"""Metrics of devices, made from what the sampler hands over."""

from collections.abc import Sequence
from typing import NamedTuple

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
    """A gauge that one field of a sample sets."""

    field: str
    metric: Metric
    more: tuple[str, ...] = ()
    scale: float = 1.0


_PARTS = (
    _Part("temperature_c", Metrics.HW_TEMPERATURE),
    _Part("gpu_utilization", Metrics.HW_GPU_UTILIZATION, scale=0.01),
    _Part("sm_clock_mhz", Metrics.DEVICE_CLOCK, ("sm",), 1e6),
    _Part("memory_clock_mhz", Metrics.DEVICE_CLOCK, ("memory",), 1e6),
    _Part("pcie_rx_bytes_s", Metrics.DEVICE_IO, ("pcie", "receive")),
    _Part("pcie_tx_bytes_s", Metrics.DEVICE_IO, ("pcie", "transmit")),
    _Part("nvlink_rx_bytes_s", Metrics.DEVICE_IO, ("nvlink", "receive")),
    _Part("nvlink_tx_bytes_s", Metrics.DEVICE_IO, ("nvlink", "transmit")),
    _Part("sm_active", Metrics.DEVICE_ACTIVITY, ("sm",), 0.01),
    _Part("sm_occupancy", Metrics.DEVICE_ACTIVITY, ("sm_occupancy",), 0.01),
    _Part("tensor_active", Metrics.DEVICE_ACTIVITY, ("tensor",), 0.01),
    _Part("dram_active", Metrics.DEVICE_ACTIVITY, ("dram",), 0.01),
    _Part("remapped_rows_corrected", Metrics.DEVICE_REMAPPED, ("corrected",)),
    _Part("remapped_rows_uncorrected", Metrics.DEVICE_REMAPPED, ("uncorrected",)),
    _Part("remap_pending", Metrics.DEVICE_REMAP_PENDING),
)
_COUNTERS = ("energy_mj", "ecc_corrected", "ecc_uncorrected")


class DeviceMetrics:
    """Observes samples and events.

    A device that is lost keeps its counters; its gauges go, so that no old reading passes for one
    of now.

    Args:
        metrics: where they are kept.
    """

    def __init__(self, metrics: MetricSet) -> None:
        self._metrics = metrics
        self._counters: dict[tuple[str, str], int] = {}
        self._seen: dict[str, int] = {}
        self._gauges: dict[str, set[tuple[Metric, tuple[str, ...]]]] = {}

    def taken(self, taken: Taken) -> None:
        """Something was handed over."""
        for sample in taken.samples:
            self._sample(sample)
        for event in taken.events:
            self._event(event)
        for device in {use.device for use in taken.processes}:
            count = len({use.pid for use in taken.processes if use.device == device})
            self._set(device, Metrics.DEVICE_PROCESSES, (), count)
        self._metrics.counter(Metrics.DEVICE_DROPPED).inc(taken.dropped)

    def show(self, feeds: Sequence[Feed]) -> None:
        """Set what is now of each source."""
        for feed in feeds:
            name = feed.source.name
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

    def _sample(self, sample: DeviceSample) -> None:
        device = sample.device
        for part in _PARTS:
            value = getattr(sample, part.field)
            if value is not None:
                self._set(device, part.metric, part.more, value * part.scale)
        power_mw = sample.power_average_mw if sample.power_mw is None else sample.power_mw
        if power_mw is not None:
            self._set(device, Metrics.HW_POWER, (), power_mw / 1000)
        if sample.memory_used_bytes is not None:
            self._set(device, Metrics.HW_GPU_MEMORY, (device.mig,), sample.memory_used_bytes)
        if device.memory_bytes is not None:
            self._set(device, Metrics.HW_GPU_MEMORY_LIMIT, (device.mig,), device.memory_bytes)
        if sample.throttle_reasons is not None:
            for reason, bit in _THROTTLES.items():
                held = bool(sample.throttle_reasons & bit)
                self._set(device, Metrics.DEVICE_THROTTLED, (reason,), held)
        self._status(device, "ok")
        self._grow(sample)

    def _grow(self, sample: DeviceSample) -> None:
        """Counters of the device, from one reading to the next; one that fell began anew."""
        labels = _labels(sample.device)
        for name in _COUNTERS:
            value = getattr(sample, name)
            if value is None:
                continue
            key = (f"{sample.device.source}:{sample.device.id}", name)
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
        elif event.event in ("lost", "reset"):
            counter = self._metrics.counter(Metrics.HW_ERRORS)
            counter.labels(*labels, event.event).inc(event.occurrences)
        if event.event == "lost":
            self._drop_gauges(event.device)
            self._status(event.device, "failed")

    def _status(self, device: Device, state: str) -> None:
        if device.mig:
            return
        for each in ("ok", "failed"):
            gauge = self._metrics.gauge(Metrics.HW_STATUS).labels(*_labels(device), each)
            gauge.set(each == state)

    def _set(self, device: Device, metric: Metric, more: tuple[str, ...], value: float) -> None:
        labels = (*_labels(device), *more)
        self._metrics.gauge(metric).labels(*labels).set(value)
        self._gauges.setdefault(device.id, set()).add((metric, labels))

    def _drop_gauges(self, device: Device) -> None:
        for metric, labels in self._gauges.pop(device.id, ()):
            self._metrics.gauge(metric).remove(*labels)

    def _count_up(
        self, metric: Metric, labels: tuple[str, ...], total: int, scale: float = 1.0
    ) -> None:
        """Bring a counter to what somebody else has counted."""
        key = ".".join((metric.name, *labels))
        grown = total - self._seen.get(key, 0)
        self._seen[key] = total
        self._metrics.counter(metric).labels(*labels).inc(max(0, grown) * scale)


def _labels(device: Device) -> tuple[str, str, str]:
    kinds = {"gpu": "gpu", "cpu": "cpu", "dram": "memory"}
    return (device.id, device.name, kinds[device.kind])
