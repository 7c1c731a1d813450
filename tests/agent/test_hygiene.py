"""The rules by which records are mended or dropped."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from otel_llm.agent.hygiene import checked_result, clean, clean_producer, ordered
from otel_llm.agent.rules import (
    ID_DIGEST,
    ID_PREFIX,
    MAX_DEVICES,
    MAX_HEADER,
    MAX_ITEMS,
    MAX_KERNEL_NAME,
    MAX_LEFT_OUT,
    MAX_TEXT,
    RULES,
    bounded_id,
)
from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.facts import StepDone, StepKernels
from otel_llm.journal.records import KINDS, Record
from tests.agent.builders import (
    ENGINE,
    FRONTEND_ID,
    anchor,
    arrived,
    attempt,
    call,
    call_started,
    delivered,
    done,
    finished,
    kernels,
    scheduled,
)

CLEAN = (
    anchor(), arrived(frontend=FRONTEND_ID, lora="french"), finished(), delivered(), scheduled(),
    scheduled(1, 3, (1, 2), drafts=[0, 1]), done(), kernels(), call_started(), call(), attempt(),
)  # fmt: skip
UNCHECKED = {
    # Closed sets that the decoder itself checks, and flags.
    "outcome", "source", "stream",
    # Checked together with the arrays beside it.
    "name_index",
}  # fmt: skip


@pytest.mark.parametrize("record", CLEAN, ids=lambda record: type(record).__name__)
def test_clean_records_pass_unchanged(record: Record) -> None:
    """A record within the rules is the same object afterwards."""
    breaches: Counter[str] = Counter()
    assert clean(record, breaches) is record
    assert not breaches


def test_every_field_has_a_rule() -> None:
    """A field added to a record cannot come in unchecked."""
    for kind in KINDS.values():
        fields = set(kind.__struct_fields__) - UNCHECKED
        assert fields == set(RULES[kind]), kind


def test_a_producer() -> None:
    """What a journal's header says of its writer is mended like any record."""
    breaches: Counter[str] = Counter()
    stated = msgspec.structs.replace(ENGINE, service="s" * 1_000, dp_rank=-2)
    assert clean_producer(stated, breaches) == msgspec.structs.replace(
        ENGINE, service="s" * MAX_TEXT, dp_rank=0
    )
    assert breaches == {"text": 1, "tokens": 1}


def test_hooks_that_a_producer_left_out() -> None:
    """They are bounded in number and in length."""
    breaches: Counter[str] = Counter()
    stated = msgspec.structs.replace(ENGINE, left_out=["h" * 1_000] * 1_000)
    mended = clean_producer(stated, breaches)
    assert list(mended.left_out) == ["h" * MAX_TEXT] * MAX_LEFT_OUT
    assert breaches == {"text": 1}


def test_devices_that_a_producer_names() -> None:
    """They are bounded in number and in length, and so is the number of ranks."""
    breaches: Counter[str] = Counter()
    stated = msgspec.structs.replace(ENGINE, devices=["d" * 1_000] * 1_000, ranks=1 << 20)
    mended = clean_producer(stated, breaches)
    assert list(mended.devices) == ["d" * MAX_TEXT] * MAX_DEVICES
    assert mended.ranks == (1 << 16) - 1
    assert breaches == {"text": 1, "tokens": 1}


U32 = (1 << 32) - 1
LONG = "x" * (MAX_TEXT + 1)


@pytest.mark.parametrize(
    ("record", "field", "value", "mended", "what"),
    [
        (arrived(), "prompt_tokens", 1 << 40, U32, "tokens"),
        (arrived(), "prompt_tokens", -7, 0, "tokens"),
        (arrived(), "max_tokens", 1 << 63, None, "tokens"),
        (arrived(), "sample_index", 70_000, 65_535, "tokens"),
        (arrived(), "request_id", LONG, bounded_id(LONG), "text"),
        (arrived(), "api_request_id", LONG, bounded_id(LONG), "text"),
        (arrived(), "traceparent", "0" * (MAX_HEADER + 1), None, "traceparent"),
        (arrived(), "tracestate", "0" * (MAX_HEADER + 1), None, "tracestate"),
        (arrived(), "frontend", "E" * 32, "", "text"),
        (arrived(), "frontend", "e" * 31, "", "text"),
        (arrived(), "lora", LONG, LONG[:-1], "text"),
        (delivered(), "request_id", LONG, bounded_id(LONG), "text"),
        (delivered(), "api_request_id", LONG, bounded_id(LONG), "text"),
        (call(), "response_id", LONG, bounded_id(LONG), "text"),
        (delivered(), "output_tokens", 1 << 32, U32, "tokens"),
        (delivered(), "first_output_ns", -1, None, "time"),
        (delivered(), "tracestate", "0" * (MAX_HEADER + 1), None, "tracestate"),
        (finished(), "rejected_tokens", -1, 0, "tokens"),
        (finished(), "discarded_tokens", 1 << 32, U32, "tokens"),
        (finished(), "unscheduled_tokens", 1 << 32, U32, "tokens"),
        (finished(), "output_tokens", -1, 0, "tokens"),
        (finished(), "first_token_ns", -1, None, "time"),
        (finished(), "last_token_ns", 1 << 62, None, "time"),
        (finished(), "error_type", LONG, LONG[:-1], "text"),
        (scheduled(), "tokens", [1 << 33], [U32], "tokens"),
        (scheduled(), "context", [-4], [0], "tokens"),
        (scheduled(), "kv_used", 1 << 32, U32, "tokens"),
        (scheduled(), "drafts", [1, 1], [], "batch"),
        (scheduled(), "drafts", [8], [], "batch"),
        (done(), "accepted", [1 << 32], [U32], "tokens"),
        (done(), "cudagraph_mode", LONG, LONG[:-1], "text"),
        (done(), "emitted", [-1], [0], "tokens"),
        (done(), "execute_ns", -1, None, "tokens"),
        (done(), "ones", -1, 0, "batch"),
        (done(), "ones", MAX_ITEMS + 1, 0, "batch"),
        (kernels(), "names", ["y" * 5_000, "b"], ["y" * MAX_KERNEL_NAME, "b"], "text"),
        (call(), "status_code", 100_000, None, "tokens"),
        (call(), "inter_chunk_us", [1 << 32, 3], [U32, 3], "tokens"),
        (call(), "parent_span_id", "zz", None, "trace"),
        (call(), "trace_id", "0" * 32, "", "trace"),
        (attempt(), "span_id", "ABCDEFABCDEFABCD", "", "trace"),
        (attempt(), "backoff_ns", -1, 0, "tokens"),
    ],
)
def test_mended(record: Record, field: str, value: object, mended: object, what: str) -> None:
    """A value beyond its rule is cut, clamped or taken as absent, and counted once."""
    breaches: Counter[str] = Counter()
    given: Any = msgspec.structs.replace(record, **{field: value})
    assert clean(given, breaches) == msgspec.structs.replace(record, **{field: mended})
    assert breaches == {what: 1}


@pytest.mark.parametrize(
    ("record", "field", "value", "what"),
    [
        (arrived(), "index", 0, "tokens"),
        (arrived(), "arrival_ns", -1, "time"),
        (arrived(), "arrival_ns", 1 << 63, "time"),
        (finished(), "finished_ns", 1 << 62, "time"),
        (scheduled(), "seq", 1 << 63, "tokens"),
        (scheduled(), "phase", b"\x02", "batch"),
        (scheduled(), "tokens", [1, 2], "batch"),
        (scheduled(), "request_index", [], "batch"),
        (scheduled(), "short", True, "batch"),
        (scheduled(1, 3, (1, 2)), "tokens", [U32, 1], "batch"),
        (delivered(), "arrival_ns", -1, "time"),
        (delivered(), "finished_ns", 1 << 62, "time"),
        (done(), "result_ns", -1, "time"),
        (kernels(), "name_index", [0, 2, 0], "batch"),
        (kernels(), "name_index", [0, -1, 0], "batch"),
        (kernels(), "duration_ns", [1, 2], "batch"),
        (kernels(), "offset_ns", [0, -1, 0], "time"),
        (call(), "finished_ns", -1, "time"),
        (anchor(), "wall_ns", 1 << 63, "time"),
        (anchor(), "wall_ns", 1, "time"),
    ],
)
def test_dropped(record: Record, field: str, value: object, what: str) -> None:
    """A record that means nothing without the value is dropped, and counted."""
    breaches: Counter[str] = Counter()
    given: Any = msgspec.structs.replace(record, **{field: value})
    assert clean(given, breaches) is None
    assert breaches == {what: 1}


@pytest.mark.parametrize(("context", "mended"), [(-4, 0), (1 << 32, U32), (7, 7)])
def test_packed_numbers_have_the_same_rules(context: int, mended: int) -> None:
    """A number is as wrong in an array as in a list."""
    breaches: Counter[str] = Counter()
    step: Any = clean(scheduled(context=[context]).packed(), breaches)
    assert list(step.context) == [mended]
    assert breaches.total() == (context != mended)


def test_a_step_without_kernels() -> None:
    """Nothing launched is nothing wrong."""
    empty = StepKernels(1, "cpu", "cpu:0", [], [], MonotonicNs(5), [], [])
    assert clean(empty, Counter()) is empty


def test_the_error_of_a_reading_is_clamped() -> None:
    """A clock error beyond its column is the largest that fits, not a wrapped small one."""
    wide = Anchor(EpochNs(2), MonotonicNs(1), 1 << 40)
    assert clean(wide, Counter()) == Anchor(EpochNs(2), MonotonicNs(1), U32)


@examples(
    prefix=st.integers(MAX_TEXT, 12_000).map(lambda length: "é" * length),
    tails=st.lists(st.text(max_size=12), min_size=2, max_size=6, unique=True),
)
def test_long_ids_stay_apart(prefix: str, tails: list[str]) -> None:
    """However long what ids share: each is bounded, keeps its start, and equals no other."""
    ids = [prefix + "-" + tail for tail in tails]
    for build in (arrived, delivered):
        cleaned = [clean(build(request_id=one), Counter()) for one in ids]
        found = [getattr(record, "request_id", "") for record in cleaned]
        assert found == [bounded_id(one) for one in ids]
        assert len(set(found)) == len(ids)
        assert {len(one) for one in found} == {ID_PREFIX + 1 + ID_DIGEST}
        assert all(one.startswith(prefix[:ID_PREFIX] + "~") for one in found)


class Unread(list[int]):
    """So many members that nobody may look at one."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        raise AssertionError


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (scheduled(), "request_index"),
        (scheduled(), "phase"),
        (scheduled(), "tokens"),
        (scheduled(), "context"),
        (scheduled(), "drafts"),
        (done(), "emitted"),
        (done(), "accepted"),
        (kernels(), "names"),
        (kernels(), "name_index"),
        (kernels(), "offset_ns"),
        (kernels(), "duration_ns"),
    ],
)
def test_too_many(record: Record, field: str) -> None:
    """A record with more members than any engine runs is dropped unread, and counted."""
    breaches: Counter[str] = Counter()
    given: Any = msgspec.structs.replace(record, **{field: Unread(400_000)})
    assert clean(given, breaches) is None
    assert breaches == {"batch": 1}


def test_as_many_as_may_be() -> None:
    """The largest step that is taken is taken whole."""
    widest = scheduled(1, 3, tuple(range(1, MAX_ITEMS + 1)))
    assert clean(widest, Counter()) is widest
    assert clean(scheduled(1, 3, tuple(range(1, MAX_ITEMS + 2))), Counter()) is None


@pytest.mark.parametrize(
    ("drafts", "accepted", "kept"),
    [([3, 0], [2, 0], [2, 0]), ([3, 0], [2], []), ([3, 0], [4, 0], []), ([], [1, 0], [])],
)
def test_accepted_of_another_batch(drafts: list[int], accepted: list[int], kept: list[int]) -> None:
    """More than was proposed, or for other members, tells nothing."""
    breaches: Counter[str] = Counter()
    step = scheduled(1, 3, (1, 2), tokens=[7, 1], drafts=drafts)
    result = msgspec.structs.replace(done(1, 8, (1, 1)), accepted=accepted)
    assert list(checked_result(step, result, breaches).accepted) == kept
    assert breaches == ({} if kept else {"batch": 1})


@pytest.mark.parametrize(
    ("ones", "emitted", "breach"), [(2, [1, 1], 0), (1, [], 1), (3, [], 1), (0, [], 0)]
)
def test_a_result_in_short(ones: int, emitted: list[int], breach: int) -> None:
    """It is written out if its step had as many members; else it tells nothing of tokens."""
    breaches: Counter[str] = Counter()
    short = StepDone(1, MonotonicNs(9_000_000_000), ones=ones)
    result = checked_result(scheduled(1, 3, (1, 2)), short, breaches)
    assert (list(result.emitted), result.ones) == (emitted, 0)
    assert breaches.total() == breach


def test_a_result_within_its_rules_is_kept_whole() -> None:
    """Each field but those in short, whatever fields there are."""
    step = scheduled(1, 3, (1, 2), drafts=[3, 0])
    told: dict[str, Any] = {
        "seq": 1, "result_ns": step.schedule_ns + 5, "emitted": [3, 1], "execute_ns": 4,
        "accepted": [2, 0], "cudagraph_mode": "FULL", "ones": 0,
    }  # fmt: skip
    assert told.keys() == set(StepDone.__struct_fields__)
    kept = checked_result(step, StepDone(**told), Counter())
    found = {name: getattr(kept, name) for name in told}
    assert found | {name: list(found[name]) for name in ("emitted", "accepted")} == told


_STAGES = ("queued_ns", "scheduled_ns", "first_token_ns", "last_token_ns")
_STAMP = st.integers(3, 8)


@settings(max_examples=400)
@examples(st.lists(st.integers(5, 8), min_size=4, max_size=4).map(sorted), st.data())
def test_stages_follow_each_other(begun: list[int], data: st.DataObject) -> None:
    """Of stamps in any order none runs backwards afterwards; those in order are left alone."""
    some = data.draw(st.just(set[int]()) | st.sets(st.integers(0, 3), max_size=2))
    other = _STAMP | _STAMP | st.none()
    maybe = [data.draw(other) if place in some else each for place, each in enumerate(begun)]
    first_output, end = data.draw(_STAMP | st.none()), data.draw(_STAMP)
    stamps: dict[str, Any] = dict(zip(_STAGES, maybe, strict=True))
    given = finished(**stamps, first_output_ns=first_output, finished_ns=end)
    breaches, arrival = Counter[str](), 5
    found = ordered(arrived(arrival_ns=arrival), given, breaches)
    latest, wanted = arrival, []
    for stamp in maybe:
        wanted.append(None if stamp is None or stamp < latest else stamp)
        latest = max(latest, stamp or 0)
    assert [getattr(found, stage) for stage in _STAGES] == wanted
    told = first_output is not None and first_output >= arrival
    assert found.first_output_ns == (first_output if told else None)
    assert found.finished_ns == (end if end >= arrival else latest)
    gone = sum(old != new for old, new in zip(maybe, wanted, strict=True))
    assert breaches["time"] == gone + (not told and first_output is not None) + (end < arrival)
