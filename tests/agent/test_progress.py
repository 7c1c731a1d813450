"""What the steps tell of a request: its account where its engine died, its last token."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.agent.engine_join import EngineJoin
from otel_llm.agent.join import Limits
from otel_llm.facts import PHASE_DECODE, PHASE_PREFILL, RequestFinished, StepDone, StepScheduled
from otel_llm.facts.joined import JoinedRequest
from otel_llm.journal.records import Record
from tests.agent.builders import ENGINE, anchor, arrived, at, done, finished, scheduled


def requests(*records: Record, ends: bool = False) -> list[JoinedRequest]:
    """The requests that come of an engine's records."""
    join = EngineJoin(ENGINE, Limits(step_span_ratio=0.0), anchor())
    facts = join.feed([anchor(), *records])
    if ends:
        facts += join.end(clean_close=False)
    return [fact for fact in facts if isinstance(fact, JoinedRequest)]


def account(end: RequestFinished, prompt_tokens: int) -> int:
    """Tokens that the terms of an end say were scheduled."""
    return (
        prompt_tokens - end.unscheduled_tokens - end.cached_tokens + max(end.output_tokens - 1, 0)
        + end.recomputed_tokens + end.rejected_tokens + end.discarded_tokens
    )  # fmt: skip


def test_an_abort_that_does_not_know_its_last_token() -> None:
    """The step that made it does."""
    end = finished(outcome="cancelled", last_token_ns=None, first_token_ns=None)
    [fact] = requests(arrived(), scheduled(), done(), end)
    assert (fact.finished.first_token_ns, fact.finished.last_token_ns) == (at(8), at(8))
    end = finished(outcome="cancelled", last_token_ns=None)
    [fact] = requests(arrived(), scheduled(), done(1, 9), end)
    assert (fact.finished.first_token_ns, fact.finished.last_token_ns) == (at(8), at(9))


def test_an_end_that_knows_its_last_token() -> None:
    """What the engine says stands."""
    [fact] = requests(arrived(), scheduled(), done(1, 9), finished())
    assert fact.finished == finished()
    silent = finished(last_token_ns=None)
    [fact] = requests(arrived(), scheduled(), done(1, 9, (0,)), silent)
    assert fact.finished == silent


def test_died_in_the_queue() -> None:
    """Nothing of its prompt was scheduled."""
    [fact] = requests(arrived(), ends=True)
    assert fact.finished.unscheduled_tokens == 11
    assert account(fact.finished, 11) == 0


def test_died_without_an_arrival() -> None:
    """Nobody knows its prompt: nothing is made up, and the row says that facts were lost."""
    [fact] = requests(scheduled(), ends=True)
    assert fact.incomplete
    assert (fact.finished.unscheduled_tokens, fact.finished.discarded_tokens) == (0, 0)


def test_rejected_drafts() -> None:
    """Drafts that were not accepted are rejected, and computed anew without being recomputed."""
    step = scheduled(2, 9, tokens=[4], context=[11], phase=b"\1", drafts=[3])
    result = StepDone(2, at(10), [2], accepted=[1])
    following = scheduled(3, 11, tokens=[1], context=[13], phase=b"\1")
    [fact] = requests(arrived(), scheduled(), done(), step, result, following, ends=True)
    end = fact.finished
    assert (end.rejected_tokens, end.recomputed_tokens, end.discarded_tokens) == (2, 0, 1)
    assert end.output_tokens == 3
    assert account(end, 11) == 7 + 4 + 1


def test_cached_beyond_what_it_had_computed() -> None:
    """A prefix that others computed meanwhile spares it work when it is resumed."""
    step = scheduled(tokens=[2])
    again = scheduled(2, 12, tokens=[2], context=[9])
    [fact] = requests(arrived(), step, done(1, 8, (0,)), again, done(2, 15), ends=True)
    assert fact.finished.cached_tokens == 4 + 3
    assert account(fact.finished, 11) == 2 + 2


class Engine:
    """A scheduler of one request that preempts, drafts and chunks as it is told."""

    def __init__(self, prompt_tokens: int) -> None:
        self.prompt_tokens = prompt_tokens
        self.output_tokens = self.computed = self.seq = self.scheduled_tokens = 0
        self.preempted = False
        self.records: list[Record] = [arrived(prompt_tokens=prompt_tokens)]

    @property
    def known(self) -> int:
        """Tokens there are to compute."""
        return self.prompt_tokens + self.output_tokens

    def step(self, most: int, drafts: int, accepted: int, cached: int, result: bool) -> None:
        """Schedule a step; `result` is whether its result comes."""
        self.seq += 1
        if self.seq == 1 or self.preempted:
            self.computed, self.preempted = min(cached, self.known - 1), False
        context, left = self.computed, self.known - self.computed
        decodes = left == 1 and self.output_tokens > 0
        drafts = drafts if decodes else 0
        tokens = 1 + drafts if decodes else min(most, left)
        self.scheduled_tokens += tokens
        self.records.append(
            StepScheduled(
                self.seq, at(self.seq * 10), [1],
                bytes([PHASE_DECODE if decodes else PHASE_PREFILL]), [tokens], [context],
                drafts=[drafts] if drafts else [],
            )
        )  # fmt: skip
        if not result:
            return
        taken = min(accepted, drafts)
        self.computed = context + tokens - (drafts - taken)
        emitted = 1 + taken if context + tokens - drafts == self.known else 0
        self.output_tokens += emitted
        self.records.append(
            StepDone(self.seq, at(self.seq * 10 + 5), [emitted], accepted=[taken] if drafts else [])
        )


STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "most": st.integers(1, 9),
            "drafts": st.integers(0, 3),
            "accepted": st.integers(0, 3),
            "cached": st.integers(0, 25),
        }
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 20), STEPS, st.sets(st.integers(1, 11)), st.booleans())
def test_every_scheduled_token_of_a_dead_engine_is_accounted_for(
    prompt_tokens: int, steps: list[dict[str, Any]], preempted: set[int], flies: bool
) -> None:
    """Chunks, preemptions, prefix hits, drafts and the step in flight: the terms add up exactly."""
    engine = Engine(prompt_tokens)
    for number, step in enumerate(steps):
        engine.preempted = number in preempted
        engine.step(**step, result=not flies or number < len(steps) - 1)
    [fact] = requests(*engine.records, ends=True)
    end = fact.finished
    assert account(end, prompt_tokens) == engine.scheduled_tokens
    assert end.output_tokens == engine.output_tokens
    terms = [getattr(end, name) for name in end.__struct_fields__ if name.endswith("_tokens")]
    assert min(terms) >= 0
