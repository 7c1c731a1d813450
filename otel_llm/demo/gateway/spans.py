"""The gateway's OpenTelemetry SDK: spans in batches to an OTLP/HTTP endpoint."""

import logging
import threading

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel_llm.identity import detect

MAX_QUEUE = 16384
RETRY_FOR_S = 60.0
"""How long the exporter tries a batch while its endpoint is away; then the SDK drops it."""
FLUSH_LIMIT_S = 10.0
"""Longest wait for what is left when the gateway stops."""

_log = logging.getLogger("otel_llm")


def tracer_provider(endpoint: str, token: str, service: str, instance_id: str) -> TracerProvider:
    """A provider; `shut_down` sends what is left.

    Args:
        endpoint: base URL, for example http://127.0.0.1:4318.
        token: bearer token; empty for none.
        service: `service.name`.
        instance_id: `service.instance.id`, as in the facts.
    """
    exporter = OTLPSpanExporter(
        endpoint=endpoint.rstrip("/") + "/v1/traces",
        headers={"authorization": f"Bearer {token}"} if token else None,
        timeout=RETRY_FOR_S,
    )
    own = {SERVICE_NAME: service, SERVICE_INSTANCE_ID: instance_id}
    resource = Resource.create({**dict(detect().attributes()), **own})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=MAX_QUEUE))
    return provider


def shut_down(provider: TracerProvider) -> None:
    """Send what is left, and stop. The SDK alone would wait half a minute for an absent endpoint.

    Args:
        provider: as `tracer_provider` made it.
    """
    flushing = threading.Thread(target=provider.shutdown, daemon=True)
    flushing.start()
    flushing.join(FLUSH_LIMIT_S)
    if flushing.is_alive():
        _log.warning("spans were not delivered within %.0f s and are lost", FLUSH_LIMIT_S)
