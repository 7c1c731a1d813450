"""Fixtures of the gateway's tests."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_llm.gateways.testing import FactList


@pytest.fixture
def facts() -> FactList:
    """A journal that keeps facts in a list."""
    return FactList()


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Keeps finished spans."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    """An SDK of this test alone; the global one stays untouched."""
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made
