"""How much a deployment needs, from measured costs."""

from otel_llm.sizing.measured import MEASURED, Measured
from otel_llm.sizing.model import Plan, Size, size

__all__ = ["MEASURED", "Measured", "Plan", "Size", "size"]
