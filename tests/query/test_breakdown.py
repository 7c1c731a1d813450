"""Where a duration went."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_llm.query.breakdown import PARTS, break_down
from otel_llm.query.phases import phases
from otel_llm.query.rows import Attempt, Call, Request

if TYPE_CHECKING:
    from tests.query.conftest import Make

MS = 1_000_000
STAMPS = ("queued_ns", "scheduled_ns", "first_token_ns", "last_token_ns")


def parts(
    make: "Make", *, call: Call | None, attempts: list[Attempt], **request: object
) -> dict[str, float]:
    """The parts that are not 0, in milliseconds."""
    serving = [make(Request, **request)] if request else []
    found = break_down(call, attempts, serving)
    return {part.name: part.duration_ns / MS for part in found.parts if part.duration_ns}


def whole(make: "Make") -> Call:
    """A call of 100 ms."""
    return make(Call, arrival_ns=0, finished_ns=100 * MS, outcome="finished")


def tried(make: "Make", number: int, start: int, end: int, outcome: str = "finished") -> Attempt:
    """An attempt, in milliseconds."""
    return make(
        Attempt, attempt=number, span_id=f"s{number}", started_ns=start * MS,
        finished_ns=end * MS, outcome=outcome,
    )  # fmt: skip


def test_every_part_of_a_retried_call(make: "Make") -> None:
    """Each stretch between two stamps belongs to the part named for it."""
    found = parts(
        make,
        call=whole(make),
        attempts=[tried(make, 1, 2, 5, "failed"), tried(make, 2, 9, 99)],
        parent_span_id="s2", outcome="finished", arrival_ns=10 * MS, queued_ns=11 * MS,
        scheduled_ns=20 * MS, first_token_ns=40 * MS, last_token_ns=90 * MS, finished_ns=91 * MS,
    )  # fmt: skip
    assert found == {
        "gateway": 3, "failed_attempts": 7, "intake": 1, "queue": 9, "prefill": 20, "decode": 50,
        "delivery": 10,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ({}, {"gateway": 10, "intake": 85, "unexplained": 5}),
        ({"queued_ns": 20 * MS}, {"gateway": 10, "intake": 10, "queue": 75, "unexplained": 5}),
        (
            {"queued_ns": 20 * MS, "scheduled_ns": 30 * MS},
            {"gateway": 10, "intake": 10, "queue": 10, "prefill": 65, "unexplained": 5},
        ),
        (
            {"scheduled_ns": 30 * MS, "first_token_ns": 50 * MS},
            {"gateway": 10, "unexplained": 25, "prefill": 20, "decode": 45},
        ),
    ],
)
def test_a_cancelled_request_ends_in_its_phase(
    make: "Make", stamps: dict[str, int], expected: dict[str, float]
) -> None:
    """The phase it was in gets the time until its end; a gap between stamps is nobody's."""
    found = parts(
        make, call=whole(make), attempts=[tried(make, 1, 10, 95, "cancelled")],
        parent_span_id="s1", outcome="cancelled", arrival_ns=10 * MS, finished_ns=95 * MS, **stamps,
    )  # fmt: skip
    assert found == expected


def test_without_an_engine(make: "Make") -> None:
    """A shed call is the gateway's; failed tries are theirs; a try without facts is unexplained."""
    call = whole(make)
    assert parts(make, call=call, attempts=[]) == {"gateway": 100}
    failed = [tried(make, 1, 10, 20, "failed"), tried(make, 2, 50, 80, "failed")]
    assert parts(make, call=call, attempts=failed) == {"gateway": 30, "failed_attempts": 70}
    served = [tried(make, 1, 10, 90)]
    assert parts(make, call=call, attempts=served) == {"gateway": 20, "unexplained": 80}


def test_a_dead_engine_before_a_retry_that_failed(make: "Make") -> None:
    """Requests of an earlier attempt do not explain the last one."""
    attempts = [tried(make, 1, 10, 40, "failed"), tried(make, 2, 50, 60, "failed")]
    found = parts(
        make, call=whole(make), attempts=attempts, parent_span_id="s1", outcome="engine_died",
        arrival_ns=11 * MS, finished_ns=30 * MS,
    )  # fmt: skip
    assert found == {"gateway": 50, "failed_attempts": 50}


def test_without_a_call(make: "Make") -> None:
    """An engine's request alone is broken down from its own arrival to its own end."""
    found = parts(
        make, call=None, attempts=[], outcome="finished", arrival_ns=5 * MS, queued_ns=6 * MS,
        scheduled_ns=8 * MS, first_token_ns=18 * MS, last_token_ns=18 * MS, finished_ns=19 * MS,
    )  # fmt: skip
    assert found == {"intake": 1, "queue": 2, "prefill": 10, "delivery": 1}
    assert break_down(None, [], []).total_ns == 0


moments = st.integers(-50 * MS, 150 * MS)


@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    outcome=st.sampled_from(["finished", "cancelled", "failed", "engine_died"]),
    tries=st.lists(
        st.tuples(moments, moments, st.sampled_from(["finished", "cancelled", "failed"])),
        max_size=3,
    ),
    stamps=st.fixed_dictionaries({name: st.none() | moments for name in STAMPS}),
    arrival=moments,
    finished=moments,
)
def test_parts_always_add_up(
    make: "Make",
    outcome: str,
    tries: list[tuple[int, int, str]],
    stamps: dict[str, int | None],
    arrival: int,
    finished: int,
) -> None:
    """However stamps contradict each other, no part is negative and the sum is the duration."""
    attempts = [
        make(Attempt, attempt=n, span_id=f"s{n}", started_ns=a, finished_ns=b, outcome=ended)
        for n, (a, b, ended) in enumerate(tries, 1)
    ]
    request = make(
        Request, arrival_ns=arrival, finished_ns=finished, outcome=outcome,
        parent_span_id=f"s{len(tries)}", **stamps,
    )  # fmt: skip
    found = break_down(whole(make), attempts, [request])
    assert [part.name for part in found.parts] == list(PARTS)
    assert all(part.duration_ns >= 0 for part in found.parts)
    assert sum(part.duration_ns for part in found.parts) == found.total_ns == 100 * MS


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    stamps=st.lists(moments, min_size=6, max_size=6).map(sorted),
    known=st.lists(st.booleans(), min_size=4, max_size=4),
    outcome=st.sampled_from(["finished", "cancelled"]),
)
def test_phases_follow_each_other(
    make: "Make", stamps: list[int], known: list[bool], outcome: str
) -> None:
    """Phases begin at the arrival and have no gaps; no name but `unexplained` comes twice."""
    fields = {name: t if k else None for name, t, k in zip(STAMPS, stamps[1:5], known, strict=True)}
    request = make(Request, arrival_ns=stamps[0], finished_ns=stamps[5], outcome=outcome, **fields)
    found = phases(request)
    edges = [stamps[0], *(phase.end_ns for phase in found)]
    assert [phase.start_ns for phase in found] == edges[:-1]
    named = [phase.name for phase in found if phase.name != "unexplained"]
    assert len(set(named)) == len(named)
    if outcome == "cancelled":
        assert edges[-1] == stamps[5]
