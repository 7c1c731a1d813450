"""Spans of joined facts, and their bytes on the wire."""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan

from otel_llm.facts.joined import Joined, JoinedKernels, JoinedRequest, JoinedStep
from otel_llm.spans.kernel import kernel_spans
from otel_llm.spans.request import request_spans
from otel_llm.spans.step import step_spans


def spans_of(fact: Joined) -> list[ReadableSpan]:
    """The spans that a fact gets. Calls and attempts have theirs from the gateway's own SDK."""
    if isinstance(fact, JoinedRequest):
        return request_spans(fact)
    if isinstance(fact, JoinedStep):
        return step_spans(fact)
    if isinstance(fact, JoinedKernels):
        return kernel_spans(fact)
    return []


def is_sampled(fact: Joined) -> bool:
    """Whether a fact may get spans; most facts of a busy engine get none."""
    if isinstance(fact, JoinedRequest):
        return fact.trace.sampled
    if isinstance(fact, JoinedStep):
        return fact.trace is not None
    return isinstance(fact, JoinedKernels) and fact.step is not None


def encode(spans: Sequence[ReadableSpan]) -> bytes:
    """An `ExportTraceServiceRequest` in protobuf, by the official encoder."""
    return bytes(encode_spans(spans).SerializeToString())
