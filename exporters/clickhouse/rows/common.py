"""Columns that several tables share."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.exporters.clickhouse.rows.attributes import Attribute, Shared
from otel_llm.facts import Producer

Row = dict[str, object]
"""One row: column name to value. Times are nanoseconds since the epoch."""

Columns = dict[str, Any]
"""Column name to its values: a sequence, an `Attribute`, or an Arrow array of the column's type."""

_MAX_ERROR = (1 << 32) - 1
TIME = pa.timestamp("ns", "UTC")
_NONE: Mapping[str, Attribute] = {}
_SHARED = frozenset({"producer", "tenant", "device"})
"""What many facts share, the same object."""

WRITER = {name: f"producer.{name}" for name in ("instance_id", "service", "host", "boot_id")}
"""Where a fact says who wrote it."""
ENGINE = {
    **WRITER,
    **{name: f"producer.{name}" for name in ("engine", "engine_version", "dp_rank")},
}
"""And which software runs; the model is `models`."""


def taken(facts: Sequence[object], paths: Mapping[str, str]) -> dict[str, Attribute]:
    """Columns of values as they stand in facts; no row is made in between.

    Args:
        facts: one for each entry, at least one.
        paths: column name to where the value stands, as `finished.output_tokens`.
    """
    facts = list(facts)
    columns: dict[str, Attribute] = {}
    for holder, fields in _by_holder(paths).items():
        of = _holders(facts, holder)
        columns.update({name: of(field) for name, field in fields})
    return columns


def wall_times(
    facts: Sequence[Any], paths: Mapping[str, str], more: Mapping[str, Attribute] = _NONE
) -> Columns:
    """Columns of stamps, by their facts' anchors, and how they were made: as `clock_columns`.

    Args:
        facts: one for each entry, at least one.
        paths: column name to where the stamp stands.
        more: columns of stamps that do not stand in the facts.
    """
    anchors = Shared(list(facts), "anchor")
    offsets = anchors.attribute("offset_ns").array(pa.int64())
    errors = pa.array([min(one.error_ns, _MAX_ERROR) for one in anchors.each], pa.int64())
    stamps = {**taken(facts, paths), **more}
    return {
        **{name: _wall(each.array(pa.int64()), offsets) for name, each in stamps.items()},
        "clock_offset_ns": offsets,
        "clock_error_ns": errors.take(anchors.places),
    }


def models(facts: Sequence[Any], path: str) -> list[str]:
    """What a request asked for, else what its engine serves."""
    asked = list(map(attrgetter(path), facts))
    return [model or fact.producer.model for model, fact in zip(asked, facts, strict=True)]


def _holders(facts: list[Any], holder: str) -> Callable[[str], Attribute]:
    """What gives the columns of fields of an object that each fact has; of the fact, if empty."""
    if holder in _SHARED:
        return Shared(facts, holder).attribute
    held = list(map(attrgetter(holder), facts)) if holder else facts
    return partial(Attribute, held)


def _by_holder(paths: Mapping[str, str]) -> Mapping[str, list[tuple[str, str]]]:
    """Columns and fields by the object that has the field; empty for the fact itself."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, path in paths.items():
        holder, _, field = path.rpartition(".")
        found[holder].append((name, field))
    return found


def _wall(stamps: pa.Array, offsets: pa.Array) -> pa.Array:
    return pc.add_checked(stamps, offsets).view(TIME)


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
