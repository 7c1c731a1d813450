"""Births and ends of engines and gateways as rows."""

import msgspec

from otel_llm.exporters.clickhouse.rows.common import (
    Row,
    clock_columns,
    engine_columns,
    producer_columns,
)
from otel_llm.facts.joined import ProducerEvent


def event_row(fact: ProducerEvent) -> Row:
    """A row of `llm_engine_events`."""
    return {
        **producer_columns(fact.producer),
        "kind": fact.producer.kind,
        "event": fact.event,
        "time": fact.anchor.wall(fact.at_ns),
        "steps_in_flight": list(fact.steps_in_flight),
        "requests_in_flight": list(fact.requests_in_flight),
        "lost_records": fact.lost_records,
        "devices": list(fact.producer.devices),
        "ranks": fact.producer.ranks,
        **clock_columns(fact.producer.boot_id, fact.anchor),
    }


def producer_row(fact: ProducerEvent) -> Row:
    """A row of `llm_producers`, of a birth."""
    producer = fact.producer
    return {
        **engine_columns(producer, producer.model),
        "kind": producer.kind,
        "time": fact.anchor.wall(fact.at_ns),
        **msgspec.structs.asdict(producer.identity),
        **clock_columns(producer.boot_id, fact.anchor),
    }
