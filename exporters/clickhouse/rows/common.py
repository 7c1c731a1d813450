"""Columns that several tables share."""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.facts import Producer

Row = dict[str, object]
"""One row: column name to value. Times are nanoseconds since the epoch."""

Columns = dict[str, Any]
"""Column name to its values: a sequence, or an Arrow array of the column's type."""

_MAX_ERROR = (1 << 32) - 1

ENGINE = {
    name: f"producer.{name}"
    for name in ("instance_id", "service", "host", "engine", "engine_version", "dp_rank")
}
"""Where a fact says who wrote it and which software runs; the model is `models`."""


def taken(facts: Sequence[object], paths: Mapping[str, str]) -> Columns:
    """Columns of values as they stand in facts; no row is made in between.

    Args:
        facts: one for each entry.
        paths: column name to where the value stands, as `finished.output_tokens`.
    """
    return {name: list(map(attrgetter(path), facts)) for name, path in paths.items()}


def wall_times(facts: Sequence[Any], paths: Mapping[str, str]) -> Columns:
    """Columns of stamps, by their facts' anchors, and how they were made: as `clock_columns`."""
    offsets = [fact.anchor.offset_ns for fact in facts]
    errors = [min(fact.anchor.error_ns, _MAX_ERROR) for fact in facts]
    stamps = taken(facts, paths).items()
    return {
        **{name: list(map(_shifted, each, offsets)) for name, each in stamps},
        **taken(facts, {"boot_id": "producer.boot_id"}),
        "clock_offset_ns": offsets,
        "clock_error_ns": errors,
    }


def models(facts: Sequence[Any], path: str) -> list[str]:
    """What a request asked for, else what its engine serves."""
    asked = map(attrgetter(path), facts)
    return [model or fact.producer.model for model, fact in zip(asked, facts, strict=True)]


def _shifted(stamp: int | None, offset: int) -> int | None:
    return None if stamp is None else stamp + offset


def by_column(rows: Iterable[Row]) -> Columns:
    """Rows turned into columns; all have the same names in the same order."""
    made = list(rows)
    if not made:
        return {}
    return dict(zip(made[0], zip(*(row.values() for row in made), strict=True), strict=True))


def producer_columns(producer: Producer) -> Row:
    """Who wrote the fact."""
    return {
        "instance_id": producer.instance_id,
        "service": producer.service,
        "host": producer.host,
    }


def engine_columns(producer: Producer, model: str) -> Row:
    """Who wrote the fact, and which software and model it runs."""
    return {
        **producer_columns(producer),
        "engine": producer.engine,
        "engine_version": producer.engine_version,
        "model": model or producer.model,
        "dp_rank": producer.dp_rank,
    }


def clock_columns(boot_id: str, anchor: Anchor) -> Row:
    """How the row's times were made; subtract the offset to get monotonic stamps back."""
    return {
        "boot_id": boot_id,
        "clock_offset_ns": anchor.offset_ns,
        "clock_error_ns": min(anchor.error_ns, _MAX_ERROR),
    }


def wall_or_none(anchor: Anchor, stamp: MonotonicNs | None) -> EpochNs | None:
    """Convert a stamp that may be absent."""
    return None if stamp is None else anchor.wall(stamp)
