"""Spans as engines and gateways send them: 15 attributes, 5 of the resource, in requests of 1000.

Seeded, so that each run of a day measures the same bytes.
"""

import random
import time
from collections.abc import Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PER_REQUEST = 1000
_DAY_NS = 86_400 * 10**9
# Yesterday: neither so old that the table drops them, nor so far ahead that the door does not
# take them.
_START_NS = (time.time_ns() // _DAY_NS - 1) * _DAY_NS
_SPANS_PER_TRACE = 8
_NAMES = ("POST /v1/chat/completions", "chat", "queue", "prefill", "decode", "attempt")
_MODELS = ("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-32B", "mistralai/Mistral-Small-3.2")


def requests(count: int, seed: int = 4) -> Iterator[bytes]:
    """Serialized requests of `PER_REQUEST` spans."""
    draw = random.Random(seed)
    return (_request(draw, index).SerializeToString() for index in range(count))


def _pair(key: str, value: str | bool | float) -> KeyValue:
    if isinstance(value, str):
        return KeyValue(key=key, value=AnyValue(string_value=value))
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(double_value=value))


def _request(draw: random.Random, index: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    resource = {
        "service.name": f"vllm-{draw.randrange(6)}",
        "service.instance.id": draw.randbytes(16).hex(),
        "host.name": f"gpu-node-{draw.randrange(64):03}",
        "deployment.environment.name": "production",
        "telemetry.sdk.language": "python",
    }
    group.resource.attributes.extend(_pair(key, value) for key, value in resource.items())
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "otel_llm", "0.1.0"
    trace_id = b""
    for number in range(PER_REQUEST):
        if number % _SPANS_PER_TRACE == 0:
            trace_id = draw.randbytes(16)
        start = _START_NS + (index * PER_REQUEST + number) * 1_000_000 + draw.randrange(10**6)
        _fill(scope.spans.add(), draw, trace_id, start, number)
    return request


def _fill(span: Span, draw: random.Random, trace_id: bytes, start: int, number: int) -> None:
    span.trace_id, span.span_id = trace_id, draw.randbytes(8)
    span.name = _NAMES[number % _SPANS_PER_TRACE % len(_NAMES)]
    span.kind = 2 if number % _SPANS_PER_TRACE == 0 else 1
    if number % _SPANS_PER_TRACE:
        span.parent_span_id = draw.randbytes(8)
    span.start_time_unix_nano = start
    span.end_time_unix_nano = start + draw.randrange(10**6, 10**10)
    span.attributes.extend(_pair(key, value) for key, value in _attributes(draw).items())
    if number % 10 == 0:
        event = span.events.add(time_unix_nano=start + 10**6, name="first token")
        event.attributes.append(_pair("gen_ai.output.index", 0))
    if number % 16 == 0:
        span.links.add(trace_id=draw.randbytes(16), span_id=draw.randbytes(8))
    if number % 50 == 0:
        span.status.code, span.status.message = 2, "the client went away"


def _attributes(draw: random.Random) -> dict[str, str | bool | int | float]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": draw.choice(_MODELS),
        "gen_ai.response.id": f"chatcmpl-{draw.randbytes(12).hex()}",
        "gen_ai.response.finish_reasons": draw.choice(("stop", "length")),
        "gen_ai.usage.input_tokens": draw.randrange(16, 8000),
        "gen_ai.usage.output_tokens": draw.randrange(1, 1024),
        "gen_ai.request.temperature": draw.choice((0.0, 0.7, 1.0)),
        "gen_ai.request.top_p": 0.95,
        "gen_ai.request.max_tokens": 1024,
        "gen_ai.latency.time_to_first_token": draw.random(),
        "http.response.status_code": 200,
        "server.address": f"10.0.{draw.randrange(256)}.{draw.randrange(256)}",
        "server.port": 8000,
        "otel_llm.tenant": f"tenant-{draw.randrange(200)}",
        "otel_llm.stream": True,
    }
