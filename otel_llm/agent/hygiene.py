"""Records made safe: a journal is hostile input, and what leaves here fits every later type.

Values are mended, or their record dropped, by the rules of `rules.py`; each breach is counted.
"""

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

from otel_llm.agent.arrays import ints
from otel_llm.agent.checks import FIELD_CHECKS, HOLDS
from otel_llm.agent.rules import ARRAYS, MAX_COUNT, MAX_ITEMS
from otel_llm.clock import Anchor
from otel_llm.facts import (
    Producer,
    RequestArrived,
    RequestFinished,
    StepDone,
    StepKernels,
    StepScheduled,
)
from otel_llm.journal.records import Record

FactT = TypeVar("FactT", bound=msgspec.Struct)


def clean(record: Record, breaches: Counter[str]) -> Record | None:
    """Mend a record's fields.

    Args:
        record: as decoded from a journal.
        breaches: counts each broken rule by its label.

    Returns:
        The record, a mended copy, or None if it means nothing.
    """
    mended = record if HOLDS[type(record)](record) else _mended(record, breaches)
    shaped = _SHAPES.get(type(record))
    return mended if mended is None or shaped is None else shaped(mended, breaches)


def clean_producer(producer: Producer, breaches: Counter[str]) -> Producer:
    """Mend what a journal's header says of its writer; the reader has checked the instance id."""
    mended = _mended(producer, breaches)
    assert mended is not None  # noqa: S101  every rule of a producer can mend
    return mended


def _mended(given: FactT, breaches: Counter[str]) -> FactT | None:
    if any(len(getattr(given, name)) > MAX_ITEMS for name in ARRAYS.get(type(given), ())):
        breaches["batch"] += 1
        return None
    changes: dict[str, Any] = {}
    for field, holds, rule in FIELD_CHECKS[type(given)]:
        value = getattr(given, field)
        if holds(value):
            continue
        breaches[rule.what] += 1
        if rule.mend is None:
            return None
        changes[field] = rule.mend(value)
    return msgspec.structs.replace(given, **changes) if changes else given


# What fields must be to each other: arrays of one length, indices that point at something.


def _anchor(record: Anchor, breaches: Counter[str]) -> Anchor | None:
    """No host has been up for longer than since 1970, so that no wall time is negative."""
    return _if(record.offset_ns >= 0, record, "time", breaches)


def _step(record: StepScheduled, breaches: Counter[str]) -> StepScheduled | None:
    members = len(record.request_index)
    fits = members == len(record.phase) == len(record.tokens) == len(record.context)
    fits = fits and int(np.add.reduce(ints(record.tokens))) <= MAX_COUNT
    if fits and record.drafts and not _are_of(record.drafts, record.tokens):
        breaches["batch"] += 1
        return msgspec.structs.replace(record, drafts=[])
    return _if(fits, record, "batch", breaches)


def _kernels(record: StepKernels, breaches: Counter[str]) -> StepKernels | None:
    places = record.name_index
    fits = len(places) == len(record.offset_ns) == len(record.duration_ns) and (
        not places or (min(places) >= 0 and max(places) < len(record.names))
    )
    return _if(fits, record, "batch", breaches)


def _if(fits: bool, record: FactT, what: str, breaches: Counter[str]) -> FactT | None:
    if not fits:
        breaches[what] += 1
        return None
    return record


_SHAPES: Mapping[type[msgspec.Struct], Callable[[Any, Counter[str]], Any]] = {
    Anchor: _anchor,
    StepScheduled: _step,
    StepKernels: _kernels,
}


def checked_result(scheduled: StepScheduled, done: StepDone, breaches: Counter[str]) -> StepDone:
    """Take what a result says of another batch than its step's as not told; mend its time.

    What it has in short is written out, now that it can be no more than the step's own members.
    """
    members = len(scheduled.request_index)
    changes: dict[str, Any] = {}
    if done.ones == members:
        done = done.whole()
    elif done.ones:
        breaches["batch"] += 1
        changes["ones"] = 0
    if done.emitted and len(done.emitted) != members:
        breaches["batch"] += 1
        changes["emitted"] = []
    if done.accepted and not _are_of(done.accepted, scheduled.drafts or [0] * members):
        breaches["batch"] += 1
        changes["accepted"] = []
    if done.result_ns < scheduled.schedule_ns:
        breaches["time"] += 1
        changes["result_ns"] = scheduled.schedule_ns
    return msgspec.structs.replace(done, **changes) if changes else done


def _are_of(parts: Sequence[int], wholes: Sequence[int]) -> bool:
    """Whether each is a part of the whole at its place."""
    return len(parts) == len(wholes) and all(map(operator.le, parts, wholes))


def ordered(
    arrived: RequestArrived, finished: RequestFinished, breaches: Counter[str]
) -> RequestFinished:
    """Take a request's stamps that run backwards as absent, so that no duration is negative.

    Stages follow each other: arrival, queued, scheduled, first token, last token. The first output
    and the end come after the arrival; an end before it is put at the latest stage.
    """
    changes: dict[str, Any] = {}
    latest = arrived.arrival_ns
    for stage in ("queued_ns", "scheduled_ns", "first_token_ns", "last_token_ns"):
        stamp = getattr(finished, stage)
        if stamp is not None and stamp < latest:
            changes[stage] = None
        elif stamp is not None:
            latest = stamp
    if finished.first_output_ns is not None and finished.first_output_ns < arrived.arrival_ns:
        changes["first_output_ns"] = None
    if finished.finished_ns < arrived.arrival_ns:
        changes["finished_ns"] = latest
    return with_mended_times(finished, changes, breaches)


def with_mended_times(record: FactT, changes: Mapping[str, Any], breaches: Counter[str]) -> FactT:
    """A copy with these stamps in place of those that ran backwards, each counted."""
    if not changes:
        return record
    breaches["time"] += len(changes)
    return msgspec.structs.replace(record, **changes)
