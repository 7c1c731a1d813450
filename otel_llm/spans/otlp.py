"""Spans of joined facts, and their bytes on the wire."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from otel_llm.facts.joined import ByKind, Joined, JoinedKernels, JoinedRequest, JoinedStep
from otel_llm.spans.common import SCOPE, OurSpan, resource
from otel_llm.spans.kernel import kernel_spans
from otel_llm.spans.request import request_spans
from otel_llm.spans.step import step_spans

_SAMPLING: Mapping[type[Joined], Callable[[Any], object]] = {
    JoinedRequest: attrgetter("trace.sampled"),
    JoinedStep: attrgetter("trace"),
    JoinedKernels: attrgetter("step"),
}
"""What says, by kind of fact, whether it is sampled."""


def spans_of(fact: Joined) -> list[OurSpan]:
    """The spans that a fact gets. Calls and attempts have theirs from the gateway's own SDK."""
    if isinstance(fact, JoinedRequest):
        return request_spans(fact)
    if isinstance(fact, JoinedStep):
        return step_spans(fact)
    if isinstance(fact, JoinedKernels):
        return kernel_spans(fact)
    return []


def sampled(kinds: ByKind) -> list[Joined]:
    """Those that may get spans; most facts of a busy engine get none."""
    each = (filter(says, kinds.get(kind, ())) for kind, says in _SAMPLING.items())
    return list(chain.from_iterable(each))


def encode(spans: Sequence[OurSpan]) -> bytes:
    """An `ExportTraceServiceRequest` in protobuf, the spans of a producer together."""
    of_producer: dict[str, list[OurSpan]] = {}
    for each in spans:
        of_producer.setdefault(each.producer.instance_id, []).append(each)
    request = ExportTraceServiceRequest(resource_spans=map(_together, of_producer.values()))
    return bytes(request.SerializeToString())


def _together(spans: Sequence[OurSpan]) -> ResourceSpans:
    scope = ScopeSpans(scope=SCOPE, spans=[each.span for each in spans])
    return ResourceSpans(resource=resource(spans[0].producer), scope_spans=[scope])
