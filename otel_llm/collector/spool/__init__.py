"""Durable spool of OTLP requests: on disk before they are acknowledged, until they are stored."""

from otel_llm.collector.spool.record import Entry, entry_of
from otel_llm.collector.spool.segment import Reading, read_segment
from otel_llm.collector.spool.spool import Bounds, Spool

__all__ = ["Bounds", "Entry", "Reading", "Spool", "entry_of", "read_segment"]
