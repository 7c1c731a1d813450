"""The gateway's OpenTelemetry SDK: spans in batches to an OTLP/HTTP endpoint."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

EXPORT_EVERY_MS = 500
MAX_QUEUE = 16384


def tracer_provider(
    endpoint: str, token: str, service: str, instance_id: str, timeout_s: float
) -> TracerProvider:
    """A provider whose `shutdown` sends what is left.

    Args:
        endpoint: base URL, for example http://127.0.0.1:4318.
        token: bearer token; empty for none.
        service: `service.name`.
        instance_id: `service.instance.id`, as in the facts.
        timeout_s: time limit of one delivery, in seconds.
    """
    exporter = OTLPSpanExporter(
        endpoint=endpoint.rstrip("/") + "/v1/traces",
        headers={"authorization": f"Bearer {token}"} if token else None,
        timeout=timeout_s,
    )
    resource = Resource.create({SERVICE_NAME: service, SERVICE_INSTANCE_ID: instance_id})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter, max_queue_size=MAX_QUEUE, schedule_delay_millis=EXPORT_EVERY_MS
        )
    )
    return provider
