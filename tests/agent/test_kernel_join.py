"""A ring's frames become facts of their steps, once, whatever cuts the reading short."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.agent.kernel_join import KernelJoin
from otel_llm.agent.kernel_open import MOST_OPEN
from otel_llm.facts.joined import Joined, KernelTotals, StepKernelNames
from otel_llm.kernels import records
from tests.agent.builders import ENGINE, ENGINE_ID, WALL_NS, at
from tests.agent.rings import (
    NAMES,
    RING_ID,
    WHOSE,
    Kernel,
    Shim,
    counted,
    details,
    joined,
    step_sums,
)

SECOND = 1_000_000_000


@pytest.fixture
def shim() -> Shim:
    """A shim that has said whose its kernels are."""
    shim = Shim()
    shim.anchor()
    shim.identity()
    return shim


def test_a_step_of_one_device(shim: Shim) -> None:
    """Every kernel is under its step, with engine, rank, device, time, busy time and classes."""
    shim.flush(Kernel(7, 1000, 100, 1), Kernel(7, 1050, 200, 2), Kernel(7, 2000, 50, 3))
    [fact] = step_sums(shim.told())
    assert fact.producer == msgspec.structs.replace(ENGINE, identity=fact.producer.identity)
    assert (fact.seq, fact.rank, fact.device, fact.source) == (7, 2, "GPU-1", "cupti")
    assert (fact.base_ns, fact.span_ns, fact.busy_ns, fact.overlap_ns) == (
        at(0.001), 1050, 300, 50,
    )  # fmt: skip
    assert dict(zip(fact.classes, fact.kernels, strict=True)) == {
        "gemm": 1, "collective": 1, "attention": 1,
    }  # fmt: skip
    assert not fact.bound
    assert not fact.incomplete


def test_a_step_behind_another_is_given_at_once(shim: Shim) -> None:
    """At the next clock reading: the device has gone on. The newest waits for two quiet ones."""
    join = joined()
    shim.flush(Kernel(7, 1000, 100), Kernel(8, 2000, 100))
    shim.anchor(1)
    given = step_sums(join.feed(shim.frames, NAMES))
    assert [(fact.seq, fact.busy_ns) for fact in given] == [(7, 100)]
    fed = len(shim.frames)
    shim.flush(Kernel(8, 2200, 50))
    shim.anchor(2)
    assert step_sums(join.feed(shim.frames[fed:], NAMES)) == []
    [last] = step_sums(join.end())
    assert (last.seq, last.busy_ns) == (8, 150)


def test_launches_outside_of_a_step_are_under_step_0(shim: Shim) -> None:
    """They count, and never as a step that is kept in detail."""
    shim.flush(Kernel(0, 5), Kernel(0, 6))
    join = joined(every=1)
    facts = shim.told(join)
    assert [(fact.seq, fact.kernels) for fact in step_sums(facts)] == [(0, [2])]
    assert details(facts) == []


def test_a_step_waits_for_its_kernels(shim: Shim) -> None:
    """Rows of several flushes make one fact; it comes after two clock readings without a row."""
    join = joined()
    shim.flush(Kernel(1, 0))
    shim.anchor(1000)
    shim.flush(Kernel(1, 10 * SECOND // 10))
    shim.anchor(2000)
    assert step_sums(join.feed(shim.frames, NAMES)) == []
    shim.anchor(3000)
    [fact] = step_sums(join.feed(shim.frames[-1:], NAMES))
    assert fact.kernels == [2]


def test_late_rows_add_up(shim: Shim) -> None:
    """What comes after a step was given makes a further fact of it."""
    shim.flush(Kernel(1, 0))
    for second in (1, 2):
        shim.anchor(1000 * second)
    shim.flush(Kernel(1, 500))
    assert [fact.kernels for fact in step_sums(shim.told())] == [[1], [1]]


def test_sums_alone_bound_the_busy_time(shim: Shim) -> None:
    """Without every single kernel, busy time is at most their sum and the span, and says so."""
    ours = [Kernel(1, 0, 100), Kernel(1, 50, 100, 2), Kernel(1, 400, 30, 0, 0, records.MEMCPY)]
    shim.raw(ours[:2])
    shim.sums(ours)
    [fact] = step_sums(shim.told())
    assert (fact.span_ns, fact.busy_ns, fact.overlap_ns, fact.bound) == (430, 230, 0, True)
    assert dict(zip(fact.classes, fact.kernel_ns, strict=True)) == {
        "gemm": 100, "collective": 100, "memcpy": 30,
    }  # fmt: skip


def test_a_duration_that_was_cut_is_no_measure(shim: Shim) -> None:
    """A single row holds 4.29 s at most; the sums know better."""
    shim.anchor(20_000)
    shim.flush(Kernel(1, 0, 6 * SECOND))
    [fact] = step_sums(shim.told())
    assert (fact.busy_ns, fact.bound) == (6 * SECOND, True)


def test_single_kernels_without_sums_are_incomplete(shim: Shim) -> None:
    """The sums' frame was lost: what is known is told, and that it may be too little."""
    shim.raw([Kernel(3, 0)])
    [fact] = step_sums(shim.told())
    assert (fact.seq, fact.kernels, fact.incomplete) == (3, [1], True)


@pytest.mark.parametrize("step", [5, 2**32 - 2, 2**32 + 5, 2**40 + 2**31 - 1])
def test_step_numbers_are_whole(shim: Shim, step: int) -> None:
    """Single rows hold 32 bits of a step's number; its sums, or its neighbours, tell the rest."""
    shim.flush(Kernel(step, 0))
    shim.raw([Kernel(step + 1, 500)])
    assert [fact.seq for fact in step_sums(shim.told())] == [step, step + 1]


def test_two_devices_of_one_process(shim: Shim) -> None:
    """Each has its own fact; the worker's own is named by UUID and has its rank."""
    shim.flush(Kernel(1, 0), Kernel(1, 10, device=4))
    assert [(fact.device, fact.rank) for fact in step_sums(shim.told())] == [
        ("GPU-1", 2), ("cuda:4", 3),
    ]  # fmt: skip


def test_ten_seconds_by_name(shim: Shim) -> None:
    """Counts, sums, shortest and longest, in the ten seconds in which they began, by rank."""
    shim.flush(Kernel(1, 0, 100), Kernel(2, 5, 300), Kernel(3, 10 * SECOND, 7), Kernel(2, 9, 1, 3))
    totals = [fact for fact in shim.told() if isinstance(fact, KernelTotals)]
    first, second = sorted(totals, key=lambda fact: fact.time_ns)
    assert first.time_ns == WALL_NS // (10 * SECOND) * 10 * SECOND
    assert (first.rank, first.device, first.source) == (2, "GPU-1", "cupti")
    by_name = dict(zip(first.names, zip(first.kernels, first.total_ns, first.min_ns, first.max_ns,
                                        strict=True), strict=True))  # fmt: skip
    assert by_name == {"flash_fwd_kernel": (1, 1, 1, 1), "a_gemm_kernel": (2, 400, 100, 300)}
    assert (second.kernels, second.total_ns) == ([1], [7])


def test_single_kernels_of_one_step_in_many(shim: Shim) -> None:
    """Of a step whose number the setting divides every kernel is kept, and its names."""
    shim.flush(Kernel(9, 0), Kernel(10, 20, 30, 2), Kernel(10, 10, 40))
    facts = shim.told(joined(every=10))
    [kept] = details(facts)
    told = kept.kernels
    assert (told.seq, told.device, told.base_ns) == (10, "GPU-1", at(0) + 10)
    assert [told.names[one] for one in told.name_index] == [NAMES[1], NAMES[2]]
    assert (told.offset_ns, told.duration_ns) == ([0, 10], [40, 30])
    [names] = [fact for fact in facts if isinstance(fact, StepKernelNames)]
    assert (names.seq, names.kept, names.rank) == (10, "sample", 2)


def test_before_a_worker_says_who_it_is() -> None:
    """Kernels of a process that never did are under the ring's own id; what was open stays so."""
    shim = Shim()
    shim.flush(Kernel(0, 0))
    shim.identity()
    shim.flush(Kernel(1, 5))
    first, second = step_sums(shim.told())
    assert (first.producer.instance_id, first.producer.service) == (RING_ID, "unknown")
    assert first.device == "cuda:0"
    assert second.producer.instance_id == ENGINE_ID


@pytest.mark.parametrize(
    "blob", [b"", b"[]", b'{"rank": -1}', b'{"rank": 1e99}', b'{"engine": 5}', b"\xff" * 9,
             b'{"dp_rank": 99999999999999999999999}'],
)  # fmt: skip
def test_a_wrong_identity_is_refused(shim: Shim, blob: bytes) -> None:
    """The one before stays, and it is counted."""
    shim.add(records.IDENTITY, blob)
    shim.flush(Kernel(1, 0))
    join = joined()
    [fact] = step_sums(shim.told(join))
    assert fact.producer.instance_id == ENGINE_ID
    assert join.told.breaches == {"text": 1}


def test_an_engine_id_that_is_none(shim: Shim) -> None:
    """Names of any length and kind fit their columns."""
    shim.identity(msgspec.structs.replace(WHOSE, engine="x", service="s" * 5000, device="d" * 500))
    shim.flush(Kernel(1, 0))
    [fact] = step_sums(shim.told())
    assert fact.producer.instance_id == RING_ID
    assert (len(fact.producer.service), len(fact.device)) == (256, 64)


def test_an_identity_that_is_said_again_changes_nothing(shim: Shim) -> None:
    """The shim repeats it: a step that is open stays so, and is one row."""
    shim.flush(Kernel(1, 0))
    shim.identity()
    shim.flush(Kernel(1, 5))
    [fact] = step_sums(shim.told())
    assert fact.kernels == [2]


def test_a_clock_of_cupti_that_is_far_off_is_not_believed(shim: Shim) -> None:
    """More than an hour from the wall's, it would move kernels into another time."""
    far = 3_600_000_000_001
    shim.anchor(0, cupti_ns=far)
    shim.flush(Kernel(1, 5))
    join = joined()
    [fact] = step_sums(shim.told(join))
    assert join.told.state.cupti_ns == 0
    assert fact.kernels == [1]


def test_losses_mark_what_is_open(shim: Shim) -> None:
    """Kernels that CUPTI dropped may have been of steps that are open, or begin in that second."""
    join = joined()
    shim.counters(dropped_by_cupti=5, kernels=1)
    shim.flush(Kernel(1, 0))
    shim.counters(dropped_by_cupti=6, kernels=2)
    shim.flush(Kernel(2, 5))
    shim.anchor(1000)
    shim.flush(Kernel(3, 9))
    facts = shim.told(join)
    assert {fact.seq: fact.incomplete for fact in step_sums(facts)} == {
        1: True, 2: True, 3: False,
    }  # fmt: skip
    assert join.told.counted == {"dropped_by_cupti": 6, "kernels": 2}


def test_nothing_absurd_is_told(shim: Shim) -> None:
    """Times far from the ring's clock, kinds and sums that cannot be are left out, and counted."""
    shim.raw([Kernel(1, 0), Kernel(1, 10**16), Kernel(1, -(10**16)), Kernel(1, 5, kind=9)])
    shim.sums([Kernel(1, 0), Kernel(2, 10**16), Kernel(3, 0, 10**17), Kernel(2**63, 0)])
    join = joined()
    assert [(fact.seq, fact.kernels) for fact in step_sums(shim.told(join))] == [(1, [1])]
    assert join.told.breaches == {"time": 6}


def test_open_steps_are_bounded(shim: Shim) -> None:
    """A ring that begins steps without end does not fill the memory; nothing is lost."""
    join = joined()
    for first in range(0, MOST_OPEN + 100, 1000):
        shim.flush(*(Kernel(first + number + 1, number) for number in range(1000)))
    facts = step_sums(join.feed(shim.frames, NAMES))
    assert len(join._open) == MOST_OPEN
    facts += step_sums(join.end())
    assert [fact.kernels for fact in facts] == [[1]] * 1000 * (len(shim.frames[2:]) // 2)


# -- late keeping


def test_a_step_that_is_open_is_kept_when_it_is_over(shim: Shim) -> None:
    """Asked for before its kernels are in, whether they have begun to come or not."""
    join = joined()
    shim.flush(Kernel(1, 0))
    join.feed(shim.frames, NAMES)
    assert join.keep(1, "slow") == []
    assert join.keep(2, "failed") == []
    rest = Shim()
    rest.frames = list(shim.frames)
    rest.flush(Kernel(2, 5))
    facts = [*join.feed(rest.frames[len(shim.frames):], NAMES), *join.end()]  # fmt: skip
    kept = {fact.seq: fact.kept for fact in facts if isinstance(fact, StepKernelNames)}
    assert kept == {1: "slow", 2: "failed"}
    assert join.detail.late == Counter(kept=2)


def test_a_step_that_was_given_is_read_again(shim: Shim) -> None:
    """Its frames are named once; a step that is kept already is not kept twice."""
    join = joined()
    shim.flush(Kernel(1, 0), Kernel(2, 9))
    for second in (1, 2):
        shim.anchor(1000 * second)
    join.feed(shim.frames, NAMES)
    places = join.keep(1, "slow")
    frames = [one for one in shim.frames if one.at in places]
    facts = join.keep_from(1, "slow", frames, NAMES)
    assert [fact.kernels.seq for fact in details(facts)] == [1]
    assert join.keep(1, "failed") == []
    assert join.detail.late == Counter(kept=1)


def test_what_the_ring_no_longer_has_is_counted(shim: Shim) -> None:
    """Overwritten before it was asked for, or never there."""
    join = joined()
    shim.sums([Kernel(1, 0)])
    shim.flush(Kernel(2, 0))
    for second in (1, 2):
        shim.anchor(1000 * second)
    join.feed(shim.frames, NAMES)
    assert join.keep(1, "slow") == []
    assert len(join.keep(2, "slow")) == 1
    assert join.keep_from(2, "slow", [None], NAMES) == []
    assert join.detail.late == Counter(gone=2)
    join.keep(9, "slow")
    join.end()
    assert join.detail.late == Counter(gone=3)


# -- death of the agent


Flush = list[tuple[int, int]]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), max_size=6), max_size=12),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_an_agent_that_dies_counts_every_kernel_once(
    flushes: list[Flush], deaths: list[int]
) -> None:
    """Killed anywhere and begun anew from what was saved, the sums are those of one reading."""
    shim = Shim()
    shim.anchor()
    shim.identity()
    for number, flush in enumerate(flushes):
        shim.flush(*(Kernel(s, number * 1000 + n, device=d) for n, (s, d) in enumerate(flush)))
        if number % 2:
            shim.anchor(number)
    whole = counted(shim.told())
    facts: list[Joined] = []
    join = joined(every=2)
    saved: dict[tuple[str, int | str], bytes] = {}
    begin = 0
    for death in sorted({min(one, len(shim.frames)) for one in deaths}):
        facts += join.feed(shim.frames[begin:death], NAMES)
        _save(join, saved)
        join.feed(shim.frames[death : death + 3], NAMES)  # and is killed before it saves that
        join, begin = joined(every=2), 0
        join.restore([(kind, key, body) for (kind, key), body in saved.items()])
    facts += join.feed(shim.frames[begin:], NAMES)
    facts += join.end()
    assert counted(facts) == whole


def _save(join: KernelJoin, saved: dict[tuple[str, int | str], bytes]) -> None:
    for kind, key, body in join.changes():
        saved.pop((kind, key), None)
        if body is not None:
            saved[kind, key] = body
    join.saved()
