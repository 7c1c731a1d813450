"""Records made safe: a journal is hostile input, and what leaves here fits every later type.

Values are mended, or their record dropped, by the rules of `rules.py`; each breach is counted.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from otel_llm.agent.checks import FIELD_CHECKS, HOLDS, SHAPE_CHECKS
from otel_llm.agent.rules import ARRAYS, MAX_ITEMS, are_parts
from otel_llm.facts import Producer, RequestArrived, RequestFinished, StepDone, StepScheduled
from otel_llm.facts.step import ones, packed
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
    if HOLDS[type(record)](record):
        return record
    mended: Record | None = _mended(record, breaches)
    for holds, rule in SHAPE_CHECKS.get(type(record), ()):
        if mended is not None and not holds(mended):
            breaches[rule.what] += 1
            mended = rule.mend(mended) if rule.mend else None
    return mended


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


def checked_result(scheduled: StepScheduled, done: StepDone, breaches: Counter[str]) -> StepDone:
    """Take what a result says of another batch than its step's as not told; mend its time.

    What it has in short is written out, now that it can be no more than the step's own members.

    Returns:
        The same with arrays for its numbers.
    """
    members = len(scheduled.request_index)
    emitted, accepted, result_ns = done.emitted, done.accepted, done.result_ns
    if done.ones and done.ones != members:
        breaches["batch"] += 1
    elif done.ones:
        emitted = ones(members)
    if emitted and len(emitted) != members:
        breaches["batch"] += 1
        emitted = ()
    if accepted and not are_parts(accepted, scheduled.drafts or [0] * members):
        breaches["batch"] += 1
        accepted = ()
    if result_ns < scheduled.schedule_ns:
        breaches["time"] += 1
        result_ns = scheduled.schedule_ns
    return StepDone(
        done.seq, result_ns, packed(emitted), done.execute_ns, packed(accepted), done.cudagraph_mode
    )


def ordered(
    arrived: RequestArrived, finished: RequestFinished, breaches: Counter[str]
) -> RequestFinished:
    """Take a request's stamps that run backwards as absent, so that no duration is negative.

    Stages follow each other: arrival, queued, scheduled, first token, last token. The first output
    and the end come after the arrival; an end before it is put at the latest stage.
    """
    if _is_ordered(arrived, finished):
        return finished
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


def _is_ordered(arrived: RequestArrived, finished: RequestFinished) -> bool:
    """Whether a request has all its stamps, in their order, as nearly all have."""
    queued, scheduled, first = finished.queued_ns, finished.scheduled_ns, finished.first_token_ns
    last, output = finished.last_token_ns, finished.first_output_ns
    if queued is None or scheduled is None or first is None or last is None or output is None:
        return False
    arrival = arrived.arrival_ns
    in_order = arrival <= queued <= scheduled <= first <= last
    return in_order and arrival <= output and arrival <= finished.finished_ns


def with_mended_times(record: FactT, changes: Mapping[str, Any], breaches: Counter[str]) -> FactT:
    """A copy with these stamps in place of those that ran backwards, each counted."""
    if not changes:
        return record
    breaches["time"] += len(changes)
    return msgspec.structs.replace(record, **changes)
