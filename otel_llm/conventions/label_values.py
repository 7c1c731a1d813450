"""Values of labels where the list is closed: who selects another one selects nothing."""

from collections.abc import Mapping

from otel_llm.conventions.metrics import Metrics

_CALL = frozenset({"finished", "cancelled", "failed", "shed"})
_ATTEMPT = frozenset({"finished", "cancelled", "failed"})
_REQUEST = _ATTEMPT | {"engine_died"}

LABEL_VALUES: Mapping[str, Mapping[str, frozenset[str]]] = {
    Metrics.CALLS.name: {"outcome": _CALL},
    Metrics.TARGET_CALLS.name: {
        "missed": frozenset({"outcome", "ttft", "tpot", "duration", "none"})
    },
    Metrics.ATTEMPTS.name: {"outcome": _ATTEMPT},
    Metrics.REQUESTS.name: {"outcome": _REQUEST},
    Metrics.TOKENS.name: {
        "type": frozenset({"prompt", "cached", "output", "recomputed", "rejected", "discarded"})
    },
    Metrics.HW_ENERGY.name: {"hw_type": frozenset({"gpu", "cpu", "dram"})},
}
"""By metric and label."""
