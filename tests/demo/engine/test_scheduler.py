"""The scheduler's promises: conserved blocks, exact token accounts, first come first served."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.demo.engine.config import SchedulerConfig
from otel_llm.demo.engine.scheduler import Plan, QueueFullError, Scheduler
from otel_llm.demo.engine.sequence import Sampling, Sequence, Status


def sequence(name: str, prompt: list[int], max_tokens: int = 4) -> Sequence:
    """A sequence that generates exactly `max_tokens`."""
    return Sequence(name, prompt, Sampling(max_tokens))


def scheduler(**limits: int) -> Scheduler:
    """A scheduler with small limits."""
    small = {"token_budget": 8, "max_running": 4, "max_waiting": 100, "blocks": 8}
    return Scheduler(SchedulerConfig(**{**small, "block_size": 2, "max_model_len": 16, **limits}))


def step(subject: Scheduler) -> Plan:
    """One step in which every sampling member gets the token 65."""
    plan = subject.schedule()
    subject.complete(plan, [65] * sum(share.samples for share in plan.shares))
    return plan


def batch(plan: Plan) -> list[tuple[str, int, int, bool]]:
    """(name, tokens, context, decode) of each member."""
    return [
        (share.sequence.request_id, share.tokens, share.context, share.decode)
        for share in plan.shares
    ]


def test_a_long_prompt_is_computed_in_chunks() -> None:
    """A prompt over the budget takes several steps; only the last one samples."""
    subject = scheduler(token_budget=4)
    subject.add([sequence("a", list(range(10)))])
    plans = [step(subject) for _ in range(4)]
    assert [batch(plan)[0] for plan in plans] == [
        ("a", 4, 0, False),
        ("a", 4, 4, False),
        ("a", 2, 8, False),
        ("a", 1, 10, True),
    ]
    assert [plan.shares[0].samples for plan in plans] == [False, False, True, True]


def test_decodes_and_a_chunk_share_the_budget() -> None:
    """Who runs goes on; a newcomer gets what is left of the budget."""
    subject = scheduler(token_budget=4)
    subject.add([sequence("a", [1, 2])])
    step(subject)
    subject.add([sequence("b", [3, 4, 5, 6, 7])])
    assert batch(step(subject)) == [("a", 1, 2, True), ("b", 3, 0, False)]


def test_first_come_first_served() -> None:
    """Nobody overtakes a sequence that waits for room."""
    subject = scheduler(max_running=1)
    subject.add([sequence(name, [1, 2, 3], max_tokens=1) for name in "abc"])
    assert [batch(step(subject))[0][0] for _ in range(3)] == ["a", "b", "c"]


def test_a_repeated_prompt_is_served_from_the_cache() -> None:
    """Full blocks of an earlier prompt are not computed again; one token always is."""
    subject = scheduler()
    subject.add([sequence("a", [1, 2, 3, 4], max_tokens=1)])
    step(subject)
    again = sequence("b", [1, 2, 3, 4], max_tokens=1)
    subject.add([again])
    assert batch(step(subject)) == [("b", 2, 2, False)]
    assert again.cached == 2


def test_samples_of_a_call_share_their_prompt_in_the_same_step() -> None:
    """The second sample reads the blocks that the first one fills in this very step."""
    subject = scheduler()
    subject.add([sequence("a", [1, 2, 3, 4, 5]), sequence("b", [1, 2, 3, 4, 5])])
    plan = step(subject)
    assert batch(plan) == [("a", 5, 0, False), ("b", 1, 4, False)]
    first, second = (share.sequence.blocks for share in plan.shares)
    assert first[:2] == second[:2]
    assert first[2] != second[2]


def test_the_youngest_loses_its_place_when_blocks_run_out() -> None:
    """It goes to the head of the queue, and back it comes without being admitted anew."""
    subject = scheduler(blocks=4, max_model_len=8)
    old, young = sequence("old", [1, 2, 3, 4], 4), sequence("young", [5, 6, 7, 8], 4)
    subject.add([old, young, sequence("next", [9])])
    step(subject)
    plan = step(subject)
    assert plan.preempted == [young]
    assert batch(plan) == [("old", 1, 4, True)]
    assert subject.waiting[0] is young
    while not plan.resumed:
        plan = step(subject)
    assert plan.resumed == [(young, 0)]
    assert young not in plan.admitted
    assert young.cached == 0


def test_who_lost_its_place_does_not_come_back_in_the_same_step() -> None:
    """Room for a chunk of it is left for those who still run."""
    subject = scheduler(token_budget=3, blocks=4, max_model_len=8)
    subject.add([sequence("old", [1, 2, 3, 4]), sequence("young", [5, 6, 7, 8])])
    step(subject)
    step(subject)
    plan = step(subject)
    assert [each.request_id for each in plan.preempted] == ["young"]
    assert batch(plan) == [("old", 1, 4, True)]


def test_a_preempted_sequence_finds_what_the_cache_still_has_of_it() -> None:
    """Blocks that nobody took meanwhile need no second computation, whoever computed them."""
    subject = scheduler(blocks=5, max_model_len=10)
    old, young = sequence("old", [1, 2, 3, 4], 3), sequence("young", [5, 6, 7, 8], 3)
    subject.add([old, young])
    step(subject)
    plan = step(subject)
    assert plan.preempted == [young]
    plan = step(subject)
    assert old.status is Status.FINISHED
    assert (plan.resumed, plan.admitted) == ([], [])
    plan = step(subject)
    assert plan.resumed == [(young, 4)]
    assert batch(plan) == [("young", 1, 4, True)]
    assert young.cached == 0


def test_an_abort_with_a_step_in_flight_gains_nothing() -> None:
    """The others of the batch get their tokens; the aborted one's is thrown away."""
    subject = scheduler()
    kept, gone = sequence("kept", [1, 2]), sequence("gone", [3, 4])
    subject.add([kept, gone])
    plan = subject.schedule()
    subject.abort(gone)
    assert subject.complete(plan, [65, 66]) == [kept]
    assert (kept.tokens, gone.tokens) == ([1, 2, 65], [3, 4])
    assert batch(step(subject)) == [("kept", 1, 2, True)]


def test_a_full_queue_takes_none_of_a_call() -> None:
    """A call is queued whole or not at all."""
    subject = scheduler(max_waiting=3)
    subject.add([sequence("a", [1]), sequence("b", [1])])
    with pytest.raises(QueueFullError):
        subject.add([sequence("c", [1]), sequence("d", [1])])
    assert len(subject.waiting) == 2
    subject.add([sequence("c", [1])])


@pytest.mark.parametrize("steps", [0, 1, 2, 3], ids=["queue", "prefill", "prefill-2", "decode"])
def test_an_abort_frees_everything_in_any_state(steps: int) -> None:
    """An aborted sequence holds nothing and is in no later step."""
    subject = scheduler(token_budget=2)
    gone = sequence("a", [1, 2, 3, 4, 5])
    subject.add([gone])
    for _ in range(steps):
        step(subject)
    assert subject.abort(gone)
    assert gone.finish_reason == "abort"
    assert not subject.has_work
    assert subject.pool.used == 0
    assert not subject.abort(gone)


def test_a_stop_text_ends_a_sequence() -> None:
    """The reason is `stop`, before `max_tokens` is reached."""
    subject = scheduler()
    stopped = Sequence("a", [1], Sampling(9, stop=("xx", "AA")))
    subject.add([stopped])
    for _ in range(2):
        assert stopped.status is not Status.FINISHED
        step(subject)
    assert (stopped.finish_reason, stopped.output_tokens) == ("stop", 2)


@pytest.mark.parametrize(("limit", "value"), [("token_budget", 0), ("max_model_len", 17)])
def test_limits_under_which_nothing_could_finish_are_refused(limit: str, value: int) -> None:
    """The message names the limit."""
    with pytest.raises(ValueError, match=limit):
        scheduler(**{limit: value})


@dataclass
class Steps:
    """Runs steps, and checks in each what must hold; `test_accounts.py` has the tokens."""

    subject: Scheduler
    finished: list[Sequence] = field(default_factory=list)

    def step(self, budget: int) -> None:
        """Run one step."""
        plan = self.subject.schedule()
        assert plan.shares, "a step without members would never end"
        assert sum(share.tokens for share in plan.shares) <= budget
        assert all(share.tokens > 0 for share in plan.shares)
        self.check_blocks(plan)
        tokens = [65 + share.context % 3 for share in plan.shares if share.samples]
        gained = self.subject.complete(plan, tokens)
        self.finished += [each for each in gained if each.status is Status.FINISHED]

    def check_blocks(self, plan: Plan) -> None:
        """Blocks are conserved, and each written slot has one writer and one owner."""
        pool = self.subject.pool
        held: dict[int, int] = {}
        for each in self.subject.running:
            for block in each.blocks:
                held[block] = held.get(block, 0) + 1
        assert {block: count for block, count in enumerate(pool.references) if count} == held
        assert pool.used + pool.free == pool.total
        assert pool.used == len(held)
        self.check_owners(plan)

    def check_owners(self, plan: Plan) -> None:
        """A written block has one writer, and who else holds it came in after it was full."""
        writers: dict[int, Sequence] = {}
        for share in plan.shares:
            end = share.context + share.tokens
            for index in range(share.context // 2, (end - 1) // 2 + 1):
                block = share.sequence.blocks[index]
                assert block not in writers, "two members write one block"
                writers[block] = share.sequence
        context = {share.sequence: share.context for share in plan.shares}
        came = {*plan.admitted, *(each for each, _ in plan.resumed)}
        for each in self.subject.running:
            for index, block in enumerate(each.blocks):
                if writers.get(block, each) is not each:
                    assert each in came
                    assert context[each] >= 2 * (index + 1)


calls = st.lists(
    st.tuples(
        st.integers(0, 6),  # steps to wait before it
        st.integers(1, 10),  # prompt length
        st.integers(0, 2),  # family of prompts with a common prefix
        st.integers(1, 6),  # max_tokens
        st.integers(1, 3),  # samples
        st.one_of(st.none(), st.integers(0, 8)),  # aborted after so many steps
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(calls=calls, budget=st.integers(1, 12), blocks=st.integers(8, 20), running=st.integers(1, 5))
def test_every_request_ends_and_blocks_are_conserved(
    calls: list[tuple[int, int, int, int, int, int | None]], budget: int, blocks: int, running: int
) -> None:
    """In every step the budget holds, blocks are conserved, no written block has two owners."""
    subject = scheduler(token_budget=budget, blocks=blocks, max_running=running)
    steps = Steps(subject)
    aborts: list[tuple[int, Sequence]] = []
    total = 0
    now = 0
    for wait, length, family, max_tokens, samples, abort_after in calls:
        prompt = [family] * 3 + list(range(10))
        added = [
            sequence(f"{total + each}", prompt[:length], max_tokens) for each in range(samples)
        ]
        total += samples
        subject.add(added)
        if abort_after is not None:
            aborts.append((now + abort_after, added[0]))
        for _ in range(wait):
            now = run_step(steps, aborts, budget, now)
    while subject.has_work:
        now = run_step(steps, aborts, budget, now)
        assert now < 10_000, "the scheduler makes no progress"
    assert subject.pool.used == 0
    aborted = {each.request_id for _, each in aborts if each.finish_reason == "abort"}
    assert len(steps.finished) + len(aborted) == total


def run_step(steps: Steps, aborts: list[tuple[int, Sequence]], budget: int, now: int) -> int:
    """Abort what is due, then run a step if there is work."""
    for when, each in aborts:
        if when <= now:
            steps.subject.abort(each)
    if steps.subject.has_work:
        steps.step(budget)
    return now + 1
