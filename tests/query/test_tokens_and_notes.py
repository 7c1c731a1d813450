"""Tokens of a call, and the doubts about a journey."""

from typing import TYPE_CHECKING

from otel_llm.query.journey import EngineWork
from otel_llm.query.notes import notes
from otel_llm.query.rows import Attempt, Call, Request, Step
from otel_llm.query.tokens import Tokens, call_tokens

if TYPE_CHECKING:
    from tests.query.conftest import Make


def test_usage_beats_the_engine(make: "Make") -> None:
    """What the response said counts; without it the engine's numbers do; without both nothing."""
    request = make(Request, prompt_tokens=5, cached_tokens=1, output_tokens=7)
    used = make(Call, prompt_tokens=4, cached_tokens=None, output_tokens=6)
    silent = make(Call, prompt_tokens=None)
    assert call_tokens(used, [request]) == Tokens(source="usage", prompt=4, output=6)
    assert call_tokens(silent, [request]) == Tokens(source="engine", prompt=5, cached=1, output=7)
    assert call_tokens(silent, []) == Tokens(source="none")


def test_prompts_of_samples_count_once(make: "Make") -> None:
    """Two prompts with two samples each: each prompt once, each output."""
    requests = [
        make(Request, prompt_tokens=size, output_tokens=1, sample_index=sample)
        for size in (10, 20)
        for sample in (0, 1)
    ]
    assert call_tokens(None, requests) == Tokens(source="engine", prompt=30, cached=0, output=4)


def test_clocks_that_disagree(make: "Make") -> None:
    """A request cannot arrive before its attempt began, past the clocks' own errors."""
    call = make(Call, host="near", clock_error_ns=1_000_000)
    attempt = make(Attempt, span_id="s", started_ns=10_000_000)
    late = make(
        Request, host="far", parent_span_id="s", arrival_ns=8_000_000, clock_error_ns=500_000
    )
    close = make(
        Request, host="far", parent_span_id="s", arrival_ns=8_500_000, clock_error_ns=500_000
    )
    (note,) = notes(call, [attempt], [late], [])
    assert note.startswith("The clocks of near and far disagree by at least 2 ms")
    assert notes(call, [attempt], [close], []) == []


def test_missing_sides_and_steps(make: "Make") -> None:
    """No gateway, no engine, lost facts and expired steps are each said."""
    served = [make(Attempt, outcome="finished")]
    assert "No gateway" in notes(None, [], [make(Request)], [])[0]
    assert "No engine" in notes(make(Call), served, [], [])[0]
    assert notes(make(Call), [make(Attempt, outcome="failed")], [], []) == []
    assert "were lost" in notes(make(Call), [], [make(Request, incomplete=True)], [])[0]
    request = make(Request, instance_id="i", request_index=3, scheduled_ns=1)
    assert "No steps" in notes(make(Call), [], [request], [])[0]
    engine = make(EngineWork, instance_id="i", steps=[make(Step, own_index=[3])])
    assert notes(make(Call), [], [request], [engine]) == []
