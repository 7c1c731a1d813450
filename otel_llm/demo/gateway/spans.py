"""The gateway's OpenTelemetry SDK: spans in batches to an OTLP/HTTP endpoint."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

MAX_QUEUE = 16384
RETRY_FOR_S = 60.0
"""How long the exporter tries a batch while its endpoint is away; then the SDK drops it."""


def tracer_provider(endpoint: str, token: str, service: str, instance_id: str) -> TracerProvider:
    """A provider whose `shutdown` sends what is left.

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
    resource = Resource.create({SERVICE_NAME: service, SERVICE_INSTANCE_ID: instance_id})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=MAX_QUEUE))
    return provider
