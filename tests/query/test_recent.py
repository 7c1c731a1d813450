"""Lists of what arrived lately."""

from typing import TYPE_CHECKING

import pytest

from otel_llm.clock import EpochNs
from otel_llm.query.recent import Filter, Listed, recent

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

BASE = EpochNs(1_790_000_000_000_000_000)


def names(listed: list[Listed]) -> list[str]:
    """The sample's names of what was listed."""
    return [
        bytes.fromhex(one.id.rstrip("c")).decode() if one.kind == "call" else one.id
        for one in listed
    ]


def test_newest_first(store: "Client") -> None:
    """Calls and engine requests without one stand in one list, newest first."""
    listed = recent(store, Filter(since_ns=BASE))
    assert names(listed) == [
        "cmpl-direct-0", "gone", "waited", "twice", "died", "broken", "shed", "cmpl-initech-0",
        "cmpl-globex-0", "retried",
    ]  # fmt: skip


def test_slowest_first_with_a_limit(store: "Client") -> None:
    """`slow` orders by duration."""
    listed = recent(store, Filter(since_ns=BASE, slow=True, limit=3))
    durations = [one.duration_s for one in listed]
    assert durations == sorted(durations, reverse=True)
    assert names(listed)[0] == "retried"
    assert len(listed) == 3


def test_caller_and_engine_in_one_line(store: "Client") -> None:
    """A line has the caller's times and those of the engine that served the last attempt."""
    (line,) = [one for one in recent(store, Filter(since_ns=BASE)) if one.id[:6] == "726574"]
    assert line.attempts == 2
    assert line.ttft_caller_s == pytest.approx(0.114)
    assert line.ttft_engine_s == pytest.approx(0.0978)
    assert line.queue_s == pytest.approx(0.0188)
    assert (line.preemptions, line.tokens.source) == (1, "usage")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(since_ns=BASE, tenant="globex"), ["gone", "shed", "cmpl-globex-0"]),
        (Filter(since_ns=BASE, model="no-such"), []),
        (Filter(since_ns=EpochNs(BASE + 550_000_000), tenant="acme"), ["waited", "twice"]),
    ],
)
def test_filters(store: "Client", wanted: Filter, expected: list[str]) -> None:
    """Tenant, model and age narrow the list."""
    assert names(recent(store, wanted)) == expected
