"""Which steps are kept because of the requests in them."""

from collections.abc import Iterator

import msgspec
import pytest

from otel_llm.agent.kernel_late import MOST_STEPS, LateKeeping, Thresholds, reason
from otel_llm.clock import MonotonicNs
from otel_llm.facts.energy import RequestJoules
from otel_llm.facts.joined import Joined, JoinedRequest, JoinedStep, SpanIds, by_kind
from tests.agent.builders import ENGINE, ENGINE_ID, anchor, arrived, at, finished, scheduled

SECOND = 1_000_000_000
NOW = MonotonicNs(5 * SECOND)


def request(index: int = 1, outcome: str = "failed", **end: object) -> JoinedRequest:
    """A request of 11 prompt tokens that ended."""
    return JoinedRequest(
        ENGINE, anchor(), outcome,  # type: ignore[arg-type]
        arrived(index), msgspec.structs.replace(finished(index), **end), SpanIds("a", "b"),
    )  # fmt: skip


def step(seq: int, *members: int) -> JoinedStep:
    """A step with these requests in it."""
    return JoinedStep(ENGINE, anchor(), "done", scheduled(seq, 0, members), None, at(1))


@pytest.mark.parametrize(
    ("outcome", "end", "why"),
    [
        ("failed", {}, "failed"),
        ("engine_died", {}, "failed"),
        ("cancelled", {}, ""),
        ("finished", {"finished_ns": at(29_000)}, ""),
        ("finished", {"finished_ns": at(31_000)}, "slow"),
        ("cancelled", {"finished_ns": at(31_000)}, "slow"),
        ("finished", {"first_output_ns": at(5_100), "finished_ns": at(6_000)}, "slow"),
        ("finished", {"output_tokens": 40_000}, "expensive"),
        ("finished", {"output_tokens": 32_757, "cached_tokens": 0}, ""),
        ("finished", {"output_tokens": 32_757, "cached_tokens": 0, "recomputed_tokens": 1},
         "expensive"),
    ],
)  # fmt: skip
def test_reasons(outcome: str, end: dict[str, object], why: str) -> None:
    """Failed before slow before expensive; what a cache served costs nothing."""
    before: dict[str, object] = {"recomputed_tokens": 0, "first_output_ns": None}
    assert reason(request(1, outcome, **before | end), Thresholds()) == why


def test_joules_are_expensive_where_they_are_known() -> None:
    """A request that was charged more than the threshold; without an account it is not."""
    hungry = Thresholds(expensive_joules=5.0)
    cheap = request(1, "finished", recomputed_tokens=0, first_output_ns=None)
    charged = msgspec.structs.replace(cheap, energy=RequestJoules(prefill_mj=3000, decode_mj=2001))
    assert reason(charged, hungry) == "expensive"
    assert reason(charged, Thresholds()) == reason(cheap, hungry) == ""


def test_thresholds_of_zero_keep_nothing() -> None:
    """Each can be turned off alone."""
    off = Thresholds(slow_s=0, slow_ttft_s=0, expensive_tokens=0)
    huge = request(1, "finished", finished_ns=at(10**6), output_tokens=1 << 31)
    assert reason(huge, off) == ""


def test_its_last_steps_are_kept() -> None:
    """Those that it took part in, the latest first, each once for all that ended in it."""
    late = LateKeeping(Thresholds(steps=3))
    facts: list[Joined] = [step(seq, *members) for seq, members in enumerate(
        [(1,), (1, 2), (2,), (1, 2), (1,), (2,)], 1)]  # fmt: skip
    assert late.take(by_kind([*facts, request(1), request(2)]), NOW) == [
        (ENGINE_ID, seq, "failed") for seq in (5, 4, 2, 6, 3)
    ]
    assert late.take(by_kind([request(3)]), NOW) == []


def test_an_old_step_among_the_last_hides_none() -> None:
    """One that has lost its result is told with those in flight, though it is long past."""
    late = LateKeeping(Thresholds(steps=3))
    steps = [
        JoinedStep(ENGINE, anchor(), "done", scheduled(seq, at_ms, (1,)), None, at(at_ms))
        for seq, at_ms in ((2, 6), (3, 7), (1, 1), (4, 8))
    ]
    asked = msgspec.structs.replace(request(1), arrived=msgspec.structs.replace(
        arrived(1), arrival_ns=at(5)))  # fmt: skip
    assert [seq for _, seq, _ in late.take(by_kind([*steps, asked]), NOW)] == [4, 1, 3]


class Batch(list[int]):
    """Members of a step, which count how often they are looked at."""

    looks = 0

    def __iter__(self) -> Iterator[int]:
        """Look at all of them."""
        self.looks += 1
        return super().__iter__()

    def __contains__(self, key: object) -> bool:
        """Look for one."""
        self.looks += 1
        return super().__contains__(key)


def test_those_that_end_together_are_looked_for_once() -> None:
    """An engine that dies with thousands in its queue does not stop the agent for minutes."""
    late = LateKeeping(Thresholds(steps=2))
    batches = [Batch((1, 2)) for _ in range(6)]
    late.take(
        by_kind(
            JoinedStep(
                ENGINE, anchor(), "done",
                msgspec.structs.replace(scheduled(seq, seq), request_index=batch), None, at(seq),
            )
            for seq, batch in enumerate(batches)
        ),
        NOW,
    )  # fmt: skip
    waiting = [request(index, "engine_died") for index in range(1, 100)]
    arrived_late = [
        msgspec.structs.replace(one, arrived=msgspec.structs.replace(one.arrived, arrival_ns=at(2)))
        for one in waiting
    ]
    assert [seq for _, seq, _ in late.take(by_kind(arrived_late), NOW)] == [5, 4]
    assert [batch.looks for batch in batches] == [0, 0, 1, 1, 1, 1]


def test_the_rate_is_bounded() -> None:
    """Past a minute's worth steps are left out and counted, until time has passed."""
    late = LateKeeping(Thresholds(steps=100, rate=0.1))
    late.take(by_kind([step(seq, 1) for seq in range(1, 11)]), NOW)
    assert len(late.take(by_kind([request()]), NOW)) == 6
    assert late.over == 4
    assert late.take(by_kind([request()]), NOW) == []
    assert len(late.take(by_kind([request()]), MonotonicNs(NOW + 20 * SECOND))) == 2


def test_memory_is_bounded() -> None:
    """Of an engine's steps the latest are remembered."""
    late = LateKeeping(Thresholds(steps=10))
    late.take(by_kind([step(1, 7)]), NOW)
    late.take(by_kind([step(seq, 1) for seq in range(2, MOST_STEPS + 2)]), NOW)
    assert late.take(by_kind([request(7)]), NOW) == []
