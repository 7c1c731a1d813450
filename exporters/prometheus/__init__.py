"""The Prometheus page: metrics made from their declarations, labels kept within bounds."""

from otel_llm.exporters.prometheus.labels import TenantLabels
from otel_llm.exporters.prometheus.metrics import MetricSet
from otel_llm.exporters.prometheus.series import Counter, Histogram

__all__ = ["Counter", "Histogram", "MetricSet", "TenantLabels"]
