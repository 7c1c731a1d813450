"""Columns that several tables share."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.facts import Producer

Row = dict[str, object]
"""One row: column name to value. Times are nanoseconds since the epoch."""

Columns = dict[str, Any]
"""Column name to its values: a sequence, or an Arrow array of the column's type."""

DICTIONARY = pa.dictionary(pa.int32(), pa.string())
"""Texts of which few are distinct."""
_MAX_ERROR = (1 << 32) - 1
_TIME = pa.timestamp("ns", "UTC")
_SHARED = frozenset({"producer", "tenant", "device"})
"""What many facts share, the same object."""

WRITER = {name: f"producer.{name}" for name in ("instance_id", "service", "host", "boot_id")}
"""Where a fact says who wrote it."""
ENGINE = {
    **WRITER,
    **{name: f"producer.{name}" for name in ("engine", "engine_version", "dp_rank")},
}
"""And which software runs; the model is `models`."""


class Shared:
    """Objects that facts share, each looked at once for all of its facts.

    Args:
        objects: one for each fact; most of them the same few.

    Attributes:
        each: the distinct ones.
    """

    def __init__(self, objects: Sequence[Any]) -> None:
        numbers = list(map(id, objects))
        known = dict(zip(numbers, objects, strict=True))
        place = {number: count for count, number in enumerate(known)}
        self.each = list(known.values())
        self._places = np.array([place[number] for number in numbers], np.int32)

    def column(self, values: Sequence[Any]) -> pa.Array:
        """A value of each distinct object, laid out fact by fact. Texts become a dictionary."""
        if not isinstance(values[0], str):
            return pa.array(np.array(values)[self._places])
        known: dict[str, int] = {}  # a dictionary may hold each value once
        indices = np.array([known.setdefault(value, len(known)) for value in values], np.int32)
        return pa.DictionaryArray.from_arrays(indices[self._places], pa.array(known, pa.string()))


def as_array(values: Any) -> pa.Array:  # noqa: ANN401  a sequence or an Arrow array
    """Values of a column; texts as a dictionary."""
    if isinstance(values, pa.Array):
        return values
    return pa.array(values, DICTIONARY if isinstance(values[0], str) else None)


def taken(facts: Sequence[object], paths: Mapping[str, str]) -> Columns:
    """Columns of values as they stand in facts; no row is made in between.

    Args:
        facts: one for each entry, at least one.
        paths: column name to where the value stands, as `finished.output_tokens`.
    """
    columns: Columns = {}
    for holder, fields in _by_holder(paths).items():
        held = list(map(attrgetter(holder), facts)) if holder else facts
        shared = Shared(held) if holder in _SHARED else None
        for name, field in fields:
            values = list(map(attrgetter(field), shared.each if shared else held))
            columns[name] = shared.column(values) if shared else values
    return columns


def wall_times(facts: Sequence[Any], paths: Mapping[str, str]) -> Columns:
    """Columns of stamps, by their facts' anchors, and how they were made: as `clock_columns`."""
    anchors = Shared([fact.anchor for fact in facts])
    offsets = anchors.column([anchor.offset_ns for anchor in anchors.each])
    return {
        **{name: _wall(stamps, offsets) for name, stamps in taken(facts, paths).items()},
        "clock_offset_ns": offsets,
        "clock_error_ns": anchors.column([min(one.error_ns, _MAX_ERROR) for one in anchors.each]),
    }


def models(facts: Sequence[Any], path: str) -> list[str]:
    """What a request asked for, else what its engine serves."""
    asked = list(map(attrgetter(path), facts))
    if all(asked):
        return asked
    return [model or fact.producer.model for model, fact in zip(asked, facts, strict=True)]


def _by_holder(paths: Mapping[str, str]) -> Mapping[str, list[tuple[str, str]]]:
    """Columns and fields by the object that has the field; empty for the fact itself."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, path in paths.items():
        holder, _, field = path.rpartition(".")
        found[holder].append((name, field))
    return found


def _wall(stamps: Sequence[int | None], offsets: pa.Array) -> pa.Array:
    return pc.add_checked(pa.array(stamps, pa.int64()), offsets).view(_TIME)


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
