"""What all our spans share: resource, scope, contexts."""

import functools
from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from otel_llm import __version__
from otel_llm.clock import EpochNs
from otel_llm.facts import Producer
from otel_llm.facts.identity import Identity
from otel_llm.facts.joined import SpanIds

Attributes = Mapping[str, AttributeValue]
SCOPE = InstrumentationScope("otel_llm", __version__)
OK = Status(StatusCode.UNSET)


class _Process(Resource):
    """A resource whose hash is made once: it goes by way of JSON, and each span asks for it."""

    @functools.cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __hash__(self) -> int:
        """As a resource's."""
        return self._hash


def resource(producer: Producer) -> Resource:
    """The process that the spans of a producer's facts come from."""
    return _resource(producer.service, producer.instance_id, producer.host, producer.identity)


@functools.lru_cache(maxsize=1024)
def _resource(service: str, instance_id: str, host: str, identity: Identity) -> Resource:
    own = {"service.name": service, "service.instance.id": instance_id, "host.name": host}
    return _Process({**dict(identity.attributes()), **own})


def failed(error_type: str) -> Status:
    """An error's status; its class also stands in `error.type`."""
    return Status(StatusCode.ERROR, error_type)


def context(trace_id: str, span_id: str, *, is_remote: bool = False) -> SpanContext:
    """Ids in hex as a span context."""
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote, TraceFlags(TraceFlags.SAMPLED)
    )


def child(
    parent: SpanIds,
    span_id: str,
    producer: Producer,
    name: str,
    interval: tuple[EpochNs, EpochNs],
    attributes: Attributes | None = None,
) -> ReadableSpan:
    """A span inside one of ours, of the same process.

    Args:
        parent: ids of the span it stands in.
        span_id: its own id.
        producer: whose span it is.
        name: the span's name.
        interval: start and end in nanoseconds since the epoch.
        attributes: what else is known.
    """
    start, end = interval
    return ReadableSpan(
        name=name,
        context=context(parent.trace_id, span_id),
        parent=context(parent.trace_id, parent.span_id),
        resource=resource(producer),
        attributes=attributes or {},
        kind=SpanKind.INTERNAL,
        start_time=start,
        end_time=max(start, end),
        instrumentation_scope=SCOPE,
        status=OK,
    )
