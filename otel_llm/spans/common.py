"""What all our spans share: resource, scope, contexts. Spans are the messages that are sent."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status

from otel_llm import __version__
from otel_llm.clock import EpochNs
from otel_llm.facts import Producer
from otel_llm.facts.identity import Identity
from otel_llm.facts.joined import SpanIds

Value = str | bool | int | float | Sequence[str]
Attributes = Mapping[str, Value]
Pair: TypeAlias = Any
"""A `KeyValue` by its fields: of one that is a message, a span would write and read the bytes."""
SCOPE = InstrumentationScope(name="otel_llm", version=__version__)
OK = Status()
LOCAL = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
REMOTE = LOCAL | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
"""Whether a span's parent, or what a link leads to, is known to be of another process."""


class OurSpan(NamedTuple):
    """A span, and the producer whose it is."""

    producer: Producer
    span: Span


def resource(producer: Producer) -> Resource:
    """The process that the spans of a producer's facts come from."""
    return _resource(producer.service, producer.instance_id, producer.host, producer.identity)


@functools.lru_cache(maxsize=1024)
def _resource(service: str, instance_id: str, host: str, identity: Identity) -> Resource:
    own = {"service.name": service, "service.instance.id": instance_id, "host.name": host}
    return Resource(attributes=pairs({**dict(identity.attributes()), **own}))


def failed(error_type: str) -> Status:
    """An error's status; its class also stands in `error.type`."""
    return Status(code=Status.STATUS_CODE_ERROR, message=error_type)


def pairs(attributes: Attributes) -> list[Pair]:
    """Attributes as a message takes them when it is made."""
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def child(
    parent: SpanIds,
    span_id: str,
    producer: Producer,
    name: str,
    interval: tuple[EpochNs, EpochNs],
    attributes: Sequence[Pair] = (),
) -> OurSpan:
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
    span = Span(
        trace_id=bytes.fromhex(parent.trace_id),
        span_id=bytes.fromhex(span_id),
        parent_span_id=bytes.fromhex(parent.span_id),
        name=name,
        attributes=attributes,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=start,
        end_time_unix_nano=max(start, end),
        status=OK,
        flags=LOCAL,
    )
    return OurSpan(producer, span)


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, str):
        return {"string_value": value}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, int):
        return {"int_value": value}
    if isinstance(value, float):
        return {"double_value": value}
    return {"array_value": {"values": [_value(each) for each in value]}}
