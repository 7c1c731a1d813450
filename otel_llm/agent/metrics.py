"""The agent's Prometheus metrics: of engines, made from facts, and of itself."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from otel_llm.agent.delivery import FAILURE_REASONS
from otel_llm.agent.device_metrics import DeviceMetrics
from otel_llm.agent.energy.energy import Energy
from otel_llm.agent.energy_metrics import EnergyMetrics
from otel_llm.agent.engine_join import EngineJoin
from otel_llm.agent.engine_metrics import EngineMetrics
from otel_llm.agent.follow import FollowedJournal, Reading
from otel_llm.agent.kernel_metrics import KernelMetrics
from otel_llm.agent.kernel_ring import RingReading
from otel_llm.agent.pairing import HALVES, Pairing
from otel_llm.agent.spool import SINKS, Batch, SinkName
from otel_llm.agent.stalls import Stalls
from otel_llm.clock import Clock
from otel_llm.conventions import UNKNOWN_TENANT, Metrics
from otel_llm.exporters.prometheus import MetricSet
from otel_llm.facts.energy import EnergyWindow, RequestEnergy
from otel_llm.facts.joined import ByKind, JoinedRequest, JoinedStep, ProducerEvent
from otel_llm.journal.records import KINDS

LOSS_REASONS = (
    "overwritten", "corrupt", "undecodable", "dropped_by_writer", "spool_full", "refused",
    "state_full", "late", "unencodable",
)  # fmt: skip
BREACHES = (
    "batch", "journal", "text", "time", "tokens", "trace", "traceparent", "tracestate",
)  # fmt: skip

_COUNTED = (JoinedRequest, JoinedStep, ProducerEvent, RequestEnergy, EnergyWindow)


def instance_of(name: str) -> str:
    """The instance whose journal has this file name."""
    return name.partition("-")[2].removesuffix(".journal")


class AgentMetrics:
    """Everything on the agent's page. Counters of loss stand at 0 from the start.

    Args:
        clock: the machine's, for finish to row.
        boot_id: this host's boot.
    """

    def __init__(self, clock: Clock, boot_id: str) -> None:
        self._clock = clock
        self._boot_id = boot_id
        self.set = MetricSet(("engine", "step", "device", "agent"))
        self.devices = DeviceMetrics(self.set)
        self.kernels = KernelMetrics(self.set, clock)
        self._engines = EngineMetrics(self.set)
        self._energy = EnergyMetrics(self.set)
        self._stalls = Stalls(clock)
        self._living: dict[str, str] = {}
        self._services: set[str] = set()
        for reason in LOSS_REASONS:
            self.set.counter(Metrics.LOST_RECORDS).labels(reason)
        for what in BREACHES:
            self.set.counter(Metrics.MALFORMED).labels(what)
        for kind in KINDS.values():
            self.set.counter(Metrics.RECORDS).labels(kind.__name__)
        for sink in SINKS:
            self.set.gauge(Metrics.SPOOL_BYTES).labels(sink)
            self.set.counter(Metrics.DELIVERED).labels(sink)
            for reason in FAILURE_REASONS:
                self.set.counter(Metrics.DELIVERY_FAILURES).labels(sink, reason)

    def read(self, journal: FollowedJournal, reading: Reading) -> None:
        """A journal was looked at."""
        for kind, count in Counter(map(type, reading.records)).items():
            self.set.counter(Metrics.RECORDS).labels(kind.__name__).inc(count)
        if journal.producer.kind == "engine":
            self._stalls.read(journal.producer.instance_id, reading.records)
        for reason, count in reading.lost.items():
            self.lost(reason, count)
        for what, count in reading.breaches.items():
            self.malformed(what, count)
        service = self._engines.service(journal.producer.service)
        self.set.counter(Metrics.SWALLOWED).labels(service).inc(reading.swallowed)
        if journal.producer.kind in HALVES:
            self.set.counter(Metrics.UNPAIRED).labels(service, journal.producer.kind)

    def read_ring(self, reading: RingReading) -> None:
        """A kernel ring was looked at."""
        for reason, count in reading.lost.items():
            self.lost(reason, count)
        for what, count in reading.breaches.items():
            self.malformed(what, count)
        self.kernels.read(reading)

    def paired(self, pairing: Pairing) -> Mapping[str, int]:
        """Take over what a pairing has counted.

        Returns:
            Halves lost, by reason.
        """
        lost = dict(pairing.lost)
        for reason, count in lost.items():
            self.lost(reason, count)
        for what, count in pairing.breaches.items():
            self.malformed(what, count)
        unpaired = self.set.counter(Metrics.UNPAIRED)
        for (service, half), count in pairing.unpaired.items():
            unpaired.labels(self._engines.service(service), half).inc(count)
        for counts in (pairing.lost, pairing.breaches, pairing.unpaired):
            counts.clear()
        return lost

    def energy_lost(self, energy: Energy) -> None:
        """Take over what the accounts of energy have lost."""
        for reason, count in energy.lost.items():
            self.lost(reason, count)
        energy.lost.clear()

    def joined(self, kinds: ByKind) -> None:
        """Facts were joined."""
        requests, steps, events, amounts, windows = (kinds.get(kind, ()) for kind in _COUNTED)
        self._engines.observe(requests, steps, events)
        self._energy.observe(requests, amounts, windows)
        unknown = sum(request.tenant.tenant == UNKNOWN_TENANT for request in requests)
        self.set.counter(Metrics.UNKNOWN_TENANTS).labels().inc(unknown)

    def lost(self, reason: str, count: int) -> None:
        """Facts were lost."""
        if count:
            self.set.counter(Metrics.LOST_RECORDS).labels(reason).inc(count)

    def malformed(self, what: str, count: int) -> None:
        """Values were refused."""
        if count:
            self.set.counter(Metrics.MALFORMED).labels(what).inc(count)

    def state_failed(self) -> None:
        """The agent's own state could not be written."""
        self.set.counter(Metrics.STATE_FAILURES).labels().inc()

    def forget(self, names: Iterable[str]) -> None:
        """Journals of these file names were removed."""
        for name in names:
            self._engines.forget(instance_of(name))

    def show(self, journals: Sequence[FollowedJournal], spool: dict[str, int]) -> None:
        """Set the gauges of what is now."""
        self.set.gauge(Metrics.JOURNALS).labels().set(len(journals))
        for sink, size in spool.items():
            self.set.gauge(Metrics.SPOOL_BYTES).labels(sink).set(size)
        open_by_service = dict.fromkeys(self._services, 0)
        for journal in journals:
            if isinstance(journal.join, EngineJoin):
                service = self._engines.service(journal.producer.service)
                count = open_by_service.get(service, 0)
                open_by_service[service] = count + len(journal.join.requests)
        self._engines.show(journal.producer for journal in journals if journal.ended_ns is None)
        for service, count in open_by_service.items():
            self.set.gauge(Metrics.REQUESTS_OPEN).labels(service).set(count)
        self._services.update(open_by_service)
        self._show_stalls(journals)

    def _show_stalls(self, journals: Iterable[FollowedJournal]) -> None:
        gauge, before = self.set.gauge(Metrics.ENGINE_STALLED), self._living
        self._living = {}
        for journal in journals:
            if isinstance(journal.join, EngineJoin) and journal.ended_ns is None:
                instance_id = journal.producer.instance_id
                service = self._engines.service(journal.producer.service)
                self._living[instance_id] = service
                stalled_s = self._stalls.seconds(instance_id, len(journal.join.requests))
                gauge.labels(service, instance_id).set(stalled_s)
        for instance_id in before.keys() - self._living.keys():
            gauge.remove(before[instance_id], instance_id)
            self._stalls.forget(instance_id)

    # -- what became of batches; called from the delivery threads

    def delivered(self, batch: Batch, refused: int) -> None:
        """A batch was acknowledged, but for `refused` of its items."""
        refused = min(refused, batch.items)
        self.set.counter(Metrics.DELIVERED).labels(batch.sink).inc(batch.items - refused)
        self.lost("refused", refused)
        if batch.ended.boot_id == self._boot_id:
            now_ns = self._clock.monotonic_ns()
            for finished_ns in batch.ended.finished_ns:
                waited_s = max(0, now_ns - finished_ns) / 1e9
                self.set.histogram(Metrics.FINISH_TO_ROW).labels().observe(waited_s)

    def refused(self, batch: Batch) -> None:
        """A batch was refused for good."""
        self.lost("refused", batch.items)

    def failed(self, sink: SinkName, reason: str) -> None:
        """A try to deliver failed."""
        self.set.counter(Metrics.DELIVERY_FAILURES).labels(sink, reason).inc()
