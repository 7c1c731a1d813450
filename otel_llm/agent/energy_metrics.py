"""Metrics of energy, made from amounts, ledger lines and requests."""

from collections import defaultdict

from otel_llm.conventions import Metrics
from otel_llm.exporters.prometheus import MetricSet, TenantLabels
from otel_llm.facts.device import Device
from otel_llm.facts.energy import EnergyWindow, RequestEnergy
from otel_llm.facts.joined import Joined, JoinedRequest

MOST_BATCH = 1024
"""Larger batches share a label."""


class EnergyMetrics:
    """Observes facts of energy. Labels that journals can invent are kept within bounds.

    Args:
        metrics: where they are kept.
    """

    def __init__(self, metrics: MetricSet) -> None:
        self._metrics = metrics
        self._known: defaultdict[str, TenantLabels] = defaultdict(TenantLabels)

    def observe(self, fact: Joined) -> None:
        """Count a fact."""
        if isinstance(fact, RequestEnergy):
            self._amount(fact)
        elif isinstance(fact, EnergyWindow):
            self._window(fact)
        elif isinstance(fact, JoinedRequest) and fact.energy is not None:
            self._per_token(fact)

    def _amount(self, fact: RequestEnergy) -> None:
        labels = (
            self._known["model"].label(fact.model or fact.producer.model),
            self._known["tenant"].label(fact.tenant.tenant),
            self._known["tier"].label(fact.tenant.tier),
            self._known["service_name"].label(fact.producer.service),
        )
        self._metrics.count(Metrics.ENERGY, (*labels, "prefill"), fact.joules.prefill_mj / 1000)
        self._metrics.count(Metrics.ENERGY, (*labels, "decode"), fact.joules.decode_mj / 1000)

    def _window(self, fact: EnergyWindow) -> None:
        labels = _labels(fact.device)
        for metric, amount in (
            (Metrics.ENERGY_ATTRIBUTED, fact.attributed_mj),
            (Metrics.ENERGY_IDLE, fact.idle_mj),
            (Metrics.ENERGY_UNATTRIBUTED, fact.unattributed_mj),
        ):
            self._metrics.counter(metric).labels(*labels).inc(amount / 1000)
        state = "incomplete" if fact.incomplete else "whole"
        self._metrics.counter(Metrics.ENERGY_WINDOWS).labels(*labels, state).inc()

    def _per_token(self, fact: JoinedRequest) -> None:
        joules, tokens = fact.energy, fact.finished.output_tokens
        if joules is None or not tokens or not joules.decode_mj or joules.scope != "all":
            return
        if joules.incomplete or fact.outcome != "finished":
            return
        model = self._known["model"].label(fact.arrived.model or fact.producer.model)
        service = self._known["service_name"].label(fact.producer.service)
        exemplar = {"trace_id": fact.trace.trace_id} if fact.trace.sampled else None
        labels = (model, service, batch_label(joules.batch))
        self._metrics.observe(
            Metrics.ENERGY_PER_TOKEN, labels, joules.decode_mj / 1000 / tokens, exemplar
        )


def batch_label(batch: float) -> str:
    """The next power of two, at most `MOST_BATCH`."""
    size = 1
    while size < min(batch, MOST_BATCH):
        size *= 2
    return str(size)


def _labels(device: Device) -> tuple[str, str, str]:
    return (device.mig or device.id, device.name, device.kind)
