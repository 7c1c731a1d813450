"""The two doors for OTLP, HTTP and gRPC, and the one core behind both."""

from otel_llm.collector.doors.intake import Intake
from otel_llm.collector.doors.refusal import REASONS, Refusal

__all__ = ["REASONS", "Intake", "Refusal"]
