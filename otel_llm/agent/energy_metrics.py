"""Metrics of energy, made from amounts, ledger lines and requests."""

from collections.abc import Iterable
from math import ceil

from otel_llm.agent.bounded import Bounded
from otel_llm.agent.engine_metrics import MOST_LABELS
from otel_llm.conventions import Metrics
from otel_llm.exporters.prometheus import Counter, MetricSet, TenantLabels
from otel_llm.facts.device import Device
from otel_llm.facts.energy import EnergyWindow, RequestEnergy, RequestJoules
from otel_llm.facts.joined import JoinedRequest

MOST_BATCH = 1024
"""Larger batches share a label."""


class EnergyMetrics:
    """Observes facts of energy. Labels that journals can invent are kept within bounds.

    Args:
        metrics: where they are kept.
    """

    def __init__(self, metrics: MetricSet) -> None:
        self._metrics = metrics
        self._each = metrics.histogram(Metrics.ENERGY_PER_TOKEN)
        self._models, self._services = TenantLabels(), TenantLabels()
        self._whose = (self._models, TenantLabels(), TenantLabels(), self._services)
        self._made: Bounded[tuple[str, ...], tuple[Counter, Counter]] = Bounded(MOST_LABELS)

    def observe(
        self,
        requests: Iterable[JoinedRequest],
        amounts: Iterable[RequestEnergy],
        windows: Iterable[EnergyWindow],
    ) -> None:
        """Count facts."""
        for request in requests:
            if request.energy is not None:
                self._per_token(request, request.energy)
        for amount in amounts:
            prefill, decode = self._series(amount)
            prefill.inc(amount.joules.prefill_mj / 1000)
            decode.inc(amount.joules.decode_mj / 1000)
        for window in windows:
            self._window(window)

    def _series(self, fact: RequestEnergy) -> tuple[Counter, Counter]:
        """Where joules of prefill and decode are counted, made once."""
        whose = (
            fact.model or fact.producer.model, fact.tenant.tenant, fact.tenant.tier,
            fact.producer.service,
        )  # fmt: skip
        series = self._made.get(whose)
        if series is None:
            labels = [known.label(name) for known, name in zip(self._whose, whose, strict=True)]
            joules = self._metrics.counter(Metrics.ENERGY)
            series = joules.labels(*labels, "prefill"), joules.labels(*labels, "decode")
            self._made[whose] = series
        return series

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

    def _per_token(self, fact: JoinedRequest, joules: RequestJoules) -> None:
        tokens = fact.finished.output_tokens
        if not tokens or not joules.decode_mj or joules.scope != "all":
            return
        if joules.incomplete or fact.outcome != "finished":
            return
        model = self._models.label(fact.arrived.model or fact.producer.model)
        service = self._services.label(fact.producer.service)
        exemplar = {"trace_id": fact.trace.trace_id} if fact.trace.sampled else None
        series = self._each.labels(model, service, batch_label(joules.batch))
        series.observe(joules.decode_mj / 1000 / tokens, exemplar)


def batch_label(batch: float) -> str:
    """The next power of two, at most `MOST_BATCH`."""
    members = max(1, ceil(min(batch, MOST_BATCH)))
    return str(1 << (members - 1).bit_length())


def _labels(device: Device) -> tuple[str, str, str]:
    return (device.mig or device.id, device.name, device.kind)
