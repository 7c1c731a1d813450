"""The token account of every request adds up, however it was scheduled and however it ended."""

from collections import defaultdict
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_llm.clock import MonotonicNs
from otel_llm.demo.engine.call import Call
from otel_llm.demo.engine.config import SchedulerConfig
from otel_llm.demo.engine.scheduler import Plan, Scheduler
from otel_llm.demo.engine.sequence import Sampling, Sequence, Status
from otel_llm.demo.engine.telemetry import RecordedEvents
from otel_llm.demo.engine.timing import KernelTimer
from otel_llm.facts import RequestArrived, RequestFinished, StepDone, StepScheduled
from otel_llm.journal.reader import JournalReader
from otel_llm.journal.records import Record
from otel_llm.recorder import Recorder
from otel_llm.settings import Settings


@dataclass
class Truth:
    """What happened to one request, position by position of its tokens.

    Attributes:
        seen: positions that some step computed or the prefix cache had.
        computed: how many tokens its steps had.
        terms: cached, recomputed and discarded tokens.
    """

    seen: set[int] = field(default_factory=set)
    computed: int = 0
    terms: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def found(self, cached: int) -> None:
        """The prefix cache has its first tokens."""
        self.terms["cached"] += len(set(range(cached)) - self.seen)
        self.seen |= set(range(cached))

    def compute(self, positions: range) -> set[int]:
        """A step computes these; returns those that are new."""
        new = set(positions) - self.seen
        self.computed += len(positions)
        self.terms["recomputed"] += len(positions) - len(new)
        self.seen |= new
        return new


class Engine:
    """Scheduler and telemetry without a model, and the truth beside them."""

    def __init__(self, limits: SchedulerConfig, events: RecordedEvents) -> None:
        self.scheduler = Scheduler(limits)
        self.events = events
        self.truth: dict[str, Truth] = defaultdict(Truth)
        self.sequences: list[Sequence] = []

    def submit(self, prompt: list[int], max_tokens: int, samples: int) -> Sequence:
        """A call arrives; returns its first sample."""
        names = range(len(self.sequences), len(self.sequences) + samples)
        added = [Sequence(str(name), list(prompt), Sampling(max_tokens)) for name in names]
        self.sequences += added
        self.scheduler.add(added)
        self.events.arrived(Call(f"call-{names[0]}", "chat", "m", MonotonicNs(1), {}, added))
        return added[0]

    def step(self, gone: Seq[Sequence] = (), *, fails: bool = False) -> None:
        """One step, in which some callers leave while it is in flight, or which goes wrong."""
        plan = self.scheduler.schedule()
        self.events.scheduled(plan)
        new = self._note(plan)
        for each in gone:
            self.abort(each, new)
        if fails:
            for each in self._unfinished():
                self._throw_away(each, new)
                self.events.finished(each, "ZeroDivisionError")
            return
        gained = self.scheduler.complete(plan, [65] * sum(each.samples for each in plan.shares))
        self.events.done(plan, 1, KernelTimer())
        for each in gained:
            if each.status is Status.FINISHED:
                self.events.finished(each)

    def abort(self, sequence: Sequence, new: dict[str, set[int]] | None = None) -> None:
        """The caller has gone."""
        if self.scheduler.abort(sequence):
            self._throw_away(sequence, new or {})
        self.events.finished(sequence)

    def _note(self, plan: Plan) -> dict[str, set[int]]:
        for each in plan.admitted:
            self.truth[each.request_id].found(each.cached or 0)
        for each, cached in plan.resumed:
            self.truth[each.request_id].found(cached)
        return {
            each.sequence.request_id: self.truth[each.sequence.request_id].compute(
                range(each.context, each.context + each.tokens)
            )
            for each in plan.shares
        }

    def _throw_away(self, sequence: Sequence, new: dict[str, set[int]]) -> None:
        past_prompt = {
            position
            for position in new.get(sequence.request_id, set())
            if position >= sequence.prompt_tokens
        }
        self.truth[sequence.request_id].terms["discarded"] += len(past_prompt)

    def _unfinished(self) -> list[Sequence]:
        return [each for each in self.sequences if each.status is not Status.FINISHED]


class Facts(NamedTuple):
    """An engine's facts, by request id."""

    ends: dict[str, RequestFinished]
    prompts: dict[str, int]
    scheduled: dict[str, int]
    emitted: dict[str, int]


def read(records: list[Record]) -> Facts:
    """Sort records by request."""
    names = {each.index: each.request_id for each in records if isinstance(each, RequestArrived)}
    batches = {each.seq: each for each in records if isinstance(each, StepScheduled)}
    scheduled: dict[str, int] = defaultdict(int)
    emitted: dict[str, int] = defaultdict(int)
    for batch in batches.values():
        for index, tokens in zip(batch.request_index, batch.tokens, strict=True):
            scheduled[names[index]] += tokens
    for done in records:
        if isinstance(done, StepDone):
            batch = batches[done.seq]
            for index, gained in zip(batch.request_index, done.emitted, strict=True):
                emitted[names[index]] += gained
    return Facts(
        {names[each.index]: each for each in records if isinstance(each, RequestFinished)},
        {
            each.request_id: each.prompt_tokens
            for each in records
            if isinstance(each, RequestArrived)
        },
        scheduled,
        emitted,
    )


def check(engine: Engine, facts: Facts) -> None:
    """Every request has one end, each term of its account is the truth, and they add up."""
    assert set(facts.ends) == {each.request_id for each in engine.sequences}
    for sequence in engine.sequences:
        name = sequence.request_id
        end, truth = facts.ends[name], engine.truth[name]
        unscheduled = set(range(sequence.prompt_tokens)) - truth.seen
        assert (end.cached_tokens, end.recomputed_tokens, end.discarded_tokens) == tuple(
            truth.terms[term] for term in ("cached", "recomputed", "discarded")
        )
        assert (end.unscheduled_tokens, end.rejected_tokens) == (len(unscheduled), 0)
        assert facts.scheduled[name] == truth.computed
        assert facts.emitted[name] == end.output_tokens == sequence.output_tokens
        assert facts.scheduled[name] == (
            facts.prompts[name] - end.unscheduled_tokens - end.cached_tokens
            + max(end.output_tokens - 1, 0)
            + end.recomputed_tokens + end.rejected_tokens + end.discarded_tokens
        )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the journals go."""
    return tmp_path_factory.mktemp("accounts")


def run(folder: Path, story: "Story") -> tuple[Engine, Facts]:
    """Run a story to its end; the engine and its facts."""
    recorder = Recorder.open(
        engine="reference",
        engine_version="1",
        settings=Settings(journal_dir=str(folder), journal_bytes=1 << 20),
    )
    engine = Engine(story.limits, RecordedEvents(recorder))
    story.tell(engine)
    recorder.close()
    [path] = folder.glob("*.journal")
    reader = JournalReader.open(path)
    records: list[Record] = []
    while some := reader.read():
        records += some
    assert reader.counters.dropped == 0
    reader.close()
    path.unlink()
    return engine, read(records)


class Caller(NamedTuple):
    """One call of a story.

    Attributes:
        wait: steps before it comes.
        length: tokens of its prompt.
        family: prompts of one family share their beginning.
        max_tokens: tokens it asks for.
        samples: how many samples.
        patience: steps until its first sample is given up; None for ever.
        in_flight: whether it is given up while a step runs, or between two.
    """

    wait: int
    length: int
    family: int
    max_tokens: int
    samples: int
    patience: int | None
    in_flight: bool


class Story(NamedTuple):
    """Calls that come and go at an engine.

    Attributes:
        limits: of the engine's scheduler.
        callers: who comes, in order.
        fails_at: number of the step that goes wrong; None if none does.
    """

    limits: SchedulerConfig
    callers: list[Caller]
    fails_at: int | None

    def tell(self, engine: Engine) -> None:
        """Let it happen; at the end nobody is unfinished."""
        arrivals = list(self.callers)
        leaving: list[tuple[int, Sequence, bool]] = []
        now, due = 0, arrivals[0].wait
        while arrivals or engine.scheduler.has_work:
            while arrivals and due <= now:
                caller = arrivals.pop(0)
                due = now + (arrivals[0].wait if arrivals else 0)
                prompt = [caller.family] * 3 + list(range(10))
                first = engine.submit(prompt[: caller.length], caller.max_tokens, caller.samples)
                if caller.patience is not None:
                    leaving.append((now + caller.patience, first, caller.in_flight))
            gone = [(each, in_flight) for when, each, in_flight in leaving if when == now]
            for each, in_flight in gone:
                if not in_flight:
                    engine.abort(each)
            if engine.scheduler.has_work:
                fails = now == self.fails_at
                engine.step([each for each, in_flight in gone if in_flight], fails=fails)
                if fails:
                    return
            now += 1
            assert now < 10_000, "the scheduler makes no progress"


callers = st.lists(
    st.builds(
        Caller,
        wait=st.integers(0, 6),
        length=st.integers(1, 10),
        family=st.integers(0, 2),
        max_tokens=st.integers(1, 6),
        samples=st.integers(1, 3),
        patience=st.one_of(st.none(), st.integers(0, 8)),
        in_flight=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
limits = st.builds(
    lambda token_budget, blocks, max_running: SchedulerConfig(
        token_budget, max_running, 100, blocks, block_size=2, max_model_len=16
    ),
    st.integers(1, 12),
    st.integers(8, 20),
    st.integers(1, 5),
)
stories = st.builds(Story, limits, callers, st.one_of(st.none(), st.integers(0, 30)))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(story=stories)
def test_every_account_adds_up(folder: Path, story: Story) -> None:
    """Whoever preempts, leaves at whatever time, or loses the engine: each term is exact."""
    check(*run(folder, story))


def test_the_stories_reach_every_term(folder: Path) -> None:
    """A crowded engine that loses callers has each kind of token, or the test above shows little.

    The one term it lacks is rejected drafts: it does not speculate.
    """
    crowd = [
        Caller(each % 3, 10, each % 2, 6, 2, [None, 2, 4, 6][each % 4], in_flight=True)
        for each in range(20)
    ]
    alone = Caller(500, 4, 0, 6, 1, 3, in_flight=True)
    everybody = [*crowd, alone]
    in_its_decode = sum(each.wait for each in everybody) + 2
    for fails_at in (None, in_its_decode):
        story = Story(SchedulerConfig(6, 4, 100, 10, 2, 16), everybody, fails_at)
        engine, facts = run(folder, story)
        check(engine, facts)
        for term in (
            "cached_tokens", "recomputed_tokens", "discarded_tokens", "unscheduled_tokens",
            "preemptions",
        ):  # fmt: skip
            assert sum(getattr(end, term) for end in facts.ends.values()) > 0, term
