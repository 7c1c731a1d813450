"""Numbers of requests by seat: as if each member of each step were looked at by itself."""

from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.agent._native import Table
from otel_llm.agent.engine_join import EngineJoin
from otel_llm.agent.join import Limits
from otel_llm.agent.progress import MAX_RESUMPTIONS
from otel_llm.agent.seats import KIND, UNSEEN, Progress, Seats
from otel_llm.facts import PHASE_DECODE, PHASE_PREFILL, StepDone, StepScheduled
from otel_llm.facts.joined import JoinedStep
from otel_llm.journal.records import Record
from tests.agent.builders import ENGINE, anchor, arrived, at, finished

FAR = 1 << 14
"""Requests so far apart have numbers that end in the same bits."""
INDEX = st.sampled_from([1, 2, 3, 1 + FAR, 2 + FAR, 1 + 2 * FAR])


class OneByOne:
    """What a step means for each member, written down plainly."""

    def __init__(self) -> None:
        self.numbers: dict[int, dict[str, Any]] = {}
        self.resumed: dict[int, list[int]] = {}

    def scheduled(self, step: StepScheduled) -> None:
        """A step included its members, one after another."""
        for index, phase, tokens, context in zip(
            step.request_index, step.phase, step.tokens, step.context, strict=True
        ):
            ours = self.numbers.setdefault(index, UNSEEN._asdict())
            end = context + tokens
            if ours["scheduled_ns"] is None:
                ours["scheduled_ns"], ours["cached_tokens"] = step.schedule_ns, context
            elif context != ours["reached"] or phase != ours["phase"]:
                self._moved(index, ours, phase, context, end)
            ours["phase"], ours["computed"] = phase, end
            ours["reached"] = max(ours["reached"], end)

    def _moved(self, index: int, ours: dict[str, Any], phase: int, context: int, end: int) -> None:
        back = ours["phase"] == PHASE_DECODE or context < ours["computed"]
        if phase == PHASE_PREFILL and back:
            ours["redone"] = ours["reached"]
            self.resumed.setdefault(index, []).append(context)
        elif context > ours["reached"]:
            ours["cached_tokens"] += context - ours["reached"]
        if context < ours["reached"]:
            ours["recomputed_tokens"] += min(end, ours["reached"]) - context

    def done(self, step: StepScheduled, done: StepDone) -> None:
        """Its result is in."""
        for place, index in enumerate(step.request_index):
            ours, emitted = self.numbers[index], done.emitted[place]
            if emitted:
                ours["output_tokens"] += emitted
                ours["last_token_ns"] = done.result_ns
                ours["first_token_ns"] = ours["first_token_ns"] or done.result_ns
        for place, index in enumerate(step.request_index if step.drafts else ()):
            ours, missed = self.numbers[index], step.drafts[place] - done.accepted[place]
            ours["rejected_tokens"] += missed
            ours["reached"] = max(0, ours["reached"] - missed)


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[StepScheduled, StepDone]]:
    """Steps that preempt, draft, chunk and repeat members as they like."""
    made = []
    for seq in range(1, draw(st.integers(1, 8)) + 1):
        members = draw(st.lists(INDEX, min_size=1, max_size=6))
        count = len(members)
        small = st.lists(st.integers(0, 9), min_size=count, max_size=count)
        tokens, context, emitted = draw(small), draw(small), draw(small)
        drafts = [draw(st.integers(0, most)) for most in tokens] if draw(st.booleans()) else []
        phase = bytes(draw(st.sampled_from([PHASE_PREFILL, PHASE_DECODE])) for _ in members)
        step = StepScheduled(seq, at(10 * seq), members, phase, tokens, context, drafts=drafts)
        accepted = [draw(st.integers(0, most)) for most in drafts]
        made.append((step, StepDone(seq, at(10 * seq + 5), emitted, accepted=accepted)))
    return made


@settings(deadline=None, max_examples=300)
@given(steps(), st.booleans())
def test_as_if_each_member_were_looked_at(
    made: list[tuple[StepScheduled, StepDone]], late: bool
) -> None:
    """Any steps, their results at once or after all of them: the same numbers, bit for bit."""
    meant, join = OneByOne(), EngineJoin(ENGINE, Limits(step_span_ratio=0.0), anchor())
    scheduled: list[Record] = [step for step, _ in made]
    pairs: list[Record] = [record for pair in made for record in pair]
    for step, done in made:
        meant.scheduled(step)
        if not late:
            meant.done(step, done)
    for step, done in made if late else ():
        meant.done(step, done)
    join.feed([anchor(), *(scheduled + [done for _, done in made] if late else pairs)])
    for index, numbers in meant.numbers.items():
        request = join.requests.get(index)
        assert request is not None
        assert join.requests.progress(index)._asdict() == numbers
        resumed = meant.resumed.get(index, [])[:MAX_RESUMPTIONS]
        assert [one.context for one in request.resumed] == resumed


def included(index: int, reached: int) -> StepScheduled:
    """A first step that brings one request as far."""
    return StepScheduled(1, at(0), [index], bytes(1), [reached], [0])


def brought(reached: int) -> Progress:
    """What it means."""
    return Progress(at(0), PHASE_PREFILL, computed=reached, reached=reached)


def filled(count: int) -> Seats:
    """Seats of so many requests, `FAR` apart."""
    seats = Seats()
    for number in range(1, count + 1):
        seats.take(number * FAR)
        assert not seats.included(included(number * FAR, number))
    return seats


def test_seats_are_found_however_many_there_are() -> None:
    """Also of requests whose numbers end in the same bits, and of more than there was room for."""
    seats, index = filled(1_000), [number * FAR for number in range(1, 1_001)]
    assert [seats.progress(number * FAR) for number in range(1, 1_001)] == [
        brought(number) for number in range(1, 1_001)
    ]
    assert seats.unseen(index) == []
    assert seats.unseen([1, FAR, 1_001 * FAR]) == [1, 1_001 * FAR]


def test_a_seat_that_was_left_is_nobodys() -> None:
    """Whoever takes it next begins anew."""
    seats = filled(1)
    seats.leave(FAR)
    assert seats.unseen([FAR]) == [FAR]
    assert seats.progress(FAR) == UNSEEN
    seats.take(2 * FAR)
    assert seats.progress(2 * FAR) == UNSEEN


def saved(seats: Seats) -> list[tuple[str, Any, bytes]]:
    """What a checkpoint holds of them after a save."""
    rows = [(kind, key, body) for kind, key, body in seats.changes() if body is not None]
    seats.saved()
    return rows


def test_seats_come_back() -> None:
    """Numbers and seats are as they were; nothing is written where nothing has changed."""
    seats, again = filled(700), Seats()
    again.restore(saved(seats))
    for number in range(1, 701):
        assert again.progress(number * FAR) == brought(number)
    assert seats.changes() == again.changes() == []
    again.take(1)
    assert again.progress(1) == UNSEEN
    assert [again.progress(number * FAR) for number in (1, 700)] == [brought(1), brought(700)]


def test_the_last_one_is_taken_out_of_the_checkpoint() -> None:
    """Once nobody has a seat there is no row, and none is taken out that never was."""
    seats = filled(1)
    seats.leave(FAR)
    assert seats.changes() == []
    seats.take(FAR)
    seats.saved()
    seats.leave(FAR)
    assert seats.changes() == [(KIND, "", None)]


def test_a_checkpoint_of_an_agent_before() -> None:
    """A row of requests, then one for each number of theirs, in the order of `Progress`."""
    rows = [[7, 9], [10, 20], [1, 0], *([number, -number] for number in range(2, 10)), [3, -1],
            [-1, 4]]  # fmt: skip
    seats = Seats()
    seats.restore([(KIND, "", b"".join(array("q", row).tobytes() for row in rows))])
    assert seats.progress(7) == (10, 1, *range(2, 10), 3, None)
    assert seats.progress(9)[:2] == (20, 0)
    assert seats.progress(9)[-2:] == (None, 4)


@pytest.mark.parametrize(
    "body",
    [b"1234567", bytes(8 * 12), array("q", [1, 1] + [0] * 24).tobytes(),
     array("q", [-1] + [0] * 12).tobytes()],
    ids=["bytes", "rows", "twice", "nobody"],
)  # fmt: skip
def test_a_damaged_table(body: bytes) -> None:
    """It is an error, which costs what was open and is counted."""
    with pytest.raises(msgspec.ValidationError, match="no table"):
        Seats().restore([(KIND, "", body)])


UNEVEN: list[tuple[str, tuple[object, ...]]] = [
    ("take", (-1,)),
    ("unseen", (bytes(7),)),
    ("included", (bytes(8), b"", bytes(8), bytes(8), 1)),
    ("included", (bytes(8), b"\0", bytes(16), bytes(8), 1)),
    ("included", (bytes(8), b"\0", bytes(8), bytes(9), 1)),
    ("included", (bytes(16), b"\0", bytes(8), bytes(8), 1)),
    ("emitted", (bytes(8), b"", 1)),
    ("emitted", (bytes(8), bytes(15), 1)),
    ("rejected", (bytes(8), bytes(8), bytes(16))),
    ("rejected", (bytes(16), bytes(8), bytes(16))),
]


@pytest.mark.parametrize(("method", "arguments"), UNEVEN)
def test_columns_that_do_not_fit(method: str, arguments: tuple[object, ...]) -> None:
    """They are refused, and change nothing."""
    table = Table()
    table.take(0)
    before = table.table()
    with pytest.raises(ValueError, match=r"as many of each|eight bytes|at least 0"):
        getattr(table, method)(*arguments)
    assert table.table() == before


@given(st.lists(st.binary(max_size=48), min_size=4, max_size=4), st.integers())
def test_whatever_is_given(columns: list[bytes], number: int) -> None:
    """It is taken or refused as wrong; who has a seat stays as it is."""
    table = Table()
    table.take(0)
    requests, phase, tokens, context = columns
    calls: list[Callable[[], object]] = [
        lambda: table.included(requests, phase, tokens, context, number),
        lambda: table.emitted(requests, tokens, number),
        lambda: table.rejected(requests, tokens, context),
        lambda: table.discarded(number, number, number, number),
        lambda: table.fill(context),
        lambda: table.leave(number or 1),
    ]
    for call in calls:
        with suppress(ValueError, OverflowError):
            call()
    assert table.unseen(array("q", [0, 7]).tobytes()) == [7]


def test_a_request_that_made_room_in_its_own_step() -> None:
    """Past the bound the oldest goes, whoever is in the step beside it."""
    join = EngineJoin(ENGINE, Limits(2, step_span_ratio=0.0), anchor())
    join.feed([anchor(), arrived(1), arrived(2)])
    members = [1, 2, 3, 4]
    step = StepScheduled(1, at(3), members, bytes(4), [7] * 4, [5] * 4)
    join.feed([step, StepDone(1, at(8), [1] * 4)])
    assert [request.index for request in join.requests] == [3, 4]
    assert join.lost["state_full"] == 2
    assert [join.requests.progress(index).output_tokens for index in members] == [0, 0, 1, 1]


def test_a_seat_taken_over_between_a_step_and_its_result() -> None:
    """A result gives nothing to whoever now has the seat of a request that ended meanwhile."""
    join = EngineJoin(ENGINE, Limits(2, step_span_ratio=0.0), anchor())
    first = StepScheduled(1, at(3), [1, 2], bytes(2), [7, 7], [5, 5])
    second = StepScheduled(2, at(4), [3], bytes(1), [7], [5])
    # The third makes the first give up its place, which is heard of again.
    join.feed([anchor(), arrived(1), arrived(2), first, arrived(3), arrived(1), second])
    join.feed([finished(3), StepDone(1, at(8), [1, 1]), StepDone(2, at(9), [5])])
    assert join.requests.progress(1).output_tokens == 1


def test_an_end_leaves_its_seat() -> None:
    """Else seats would grow with every request."""
    join = EngineJoin(ENGINE, Limits(step_span_ratio=0.0), anchor())
    step = StepScheduled(1, at(3), [1], bytes(1), [7], [5])
    join.feed([anchor(), arrived(), step, StepDone(1, at(8), [1]), finished()])
    assert join.requests.seats.unseen([1]) == [1]


def test_a_result_that_accepts_drafts_of_none() -> None:
    """Nobody's drafts were rejected; what else the result tells is kept."""
    join = EngineJoin(ENGINE, Limits(step_span_ratio=0.0), anchor())
    step = StepScheduled(1, at(3), [1, 2], bytes(2), [7, 7], [5, 5])
    joined = join.feed([anchor(), step, StepDone(1, at(8), [1, 1], accepted=[0, 0])])
    assert join.requests.progress(2).output_tokens == 1
    assert isinstance(joined[-1], JoinedStep)
    assert joined[-1].status == "done"
