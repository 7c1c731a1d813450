"""Requests that look like an exporter's, and a way to make each of them another one."""

import os
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

START_NS = time.time_ns()
ATTRIBUTES, RESOURCE_ATTRIBUTES = 15, 5


def request(spans: int) -> bytes:
    """A request of so many spans with 15 attributes, and 5 of their resource."""
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    for number in range(RESOURCE_ATTRIBUTES):
        pair = group.resource.attributes.add(key=f"resource.attribute.{number}")
        pair.value.string_value = f"value {number}"
    group.resource.attributes.add(key="service.name").value.string_value = "flood"
    scope = group.scope_spans.add()
    for number in range(spans):
        start = START_NS + number * 1000
        span = scope.spans.add(
            trace_id=os.urandom(16), span_id=os.urandom(8), name=f"operation {number % 20}", kind=2,
            start_time_unix_nano=start, end_time_unix_nano=start + number % 1000 * 1000,
        )  # fmt: skip
        for key in range(ATTRIBUTES):
            value = span.attributes.add(key=f"some.attribute.{key}").value
            if key % 3:
                value.string_value = f"value {number % 100} of {key}"
            else:
                value.int_value = number * key
    return made.SerializeToString()


def another(body: bytes) -> bytes:
    """The same spans in a request of other bytes: a field that nobody reads."""
    return body + b"\xfa\x01\x08" + os.urandom(8)
