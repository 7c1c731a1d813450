"""The workload: real arrivals, and enough trouble of every kind."""

from collections import Counter

import pytest

from otel_llm.demo.workload import LONG_OUTPUT, MAX_PROMPT, arrivals, plan


def test_the_same_seed_plans_the_same_calls() -> None:
    """A run can be repeated."""
    assert plan(320, seed=7) == plan(320, seed=7)
    assert plan(320, seed=7) != plan(320, seed=8)


@pytest.mark.parametrize("requests", [300, 320, 1000])
def test_enough_clients_give_up_in_every_phase(requests: int) -> None:
    """At least one call in twenty is to be given up in each of the three phases."""
    phases = Counter(call.give_up for call in plan(requests))
    assert min(phases[phase] for phase in ("queue", "prefill", "decode")) >= requests * 0.05


def test_calls_are_ordered_and_within_the_engine() -> None:
    """Calls come in order of time, within the engine's lengths, some with two samples."""
    calls = plan(320)
    assert [c.at_s for c in calls] == sorted(c.at_s for c in calls)
    assert all(2 <= c.output_tokens <= LONG_OUTPUT for c in calls)
    assert all(4 <= c.prompt_tokens <= MAX_PROMPT for c in calls if c.give_up != "prefill")
    assert sum(c.samples == 2 for c in calls) >= 10


def test_speedup_shortens_the_replay() -> None:
    """Twice as fast takes half as long."""
    assert plan(320, 2.0)[-1].at_s == pytest.approx(plan(320, 1.0)[-1].at_s / 2)


def test_arrivals_are_the_traces() -> None:
    """The first rows of the excerpt, as published."""
    assert [(a.at_s, a.prompt_tokens, a.output_tokens) for a in arrivals(2)] == [
        (0.0, 374, 44),
        (4.3146, 396, 109),
    ]


@pytest.mark.parametrize("requests", [0, 2001])
def test_impossible_counts_are_refused(requests: int) -> None:
    """No calls, or more than the excerpt holds, is an error that says so."""
    with pytest.raises(ValueError, match=str(requests)):
        plan(requests)
