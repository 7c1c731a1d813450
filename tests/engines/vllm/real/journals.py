"""What the hooks wrote, read back from the real journals and put together."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from otel_llm.facts.producer import Producer
from otel_llm.facts.request import RequestArrived, RequestDelivered, RequestFinished
from otel_llm.facts.step import PHASE_PREFILL, StepDone, StepScheduled
from otel_llm.journal import directory
from otel_llm.journal.reader import JournalReader
from otel_llm.journal.records import Record

if TYPE_CHECKING:
    from tests.engines.vllm.real.drive import Engine


class Member(NamedTuple):
    """One request in one step.

    Attributes:
        phase: `prefill` or `decode`.
        tokens: tokens scheduled.
        context: tokens computed before the step.
        drafts: of `tokens`, the speculative ones.
        emitted: output tokens gained; None while the result is out.
        accepted: drafts accepted; None while the result is out.
    """

    phase: str
    tokens: int
    context: int
    drafts: int = 0
    emitted: int | None = 0
    accepted: int | None = 0


class Step(NamedTuple):
    """Both halves of a step, its members by request id."""

    scheduled: StepScheduled
    done: StepDone | None
    members: dict[str, Member]


@dataclass
class Facts:
    """One journal's records, put together.

    Attributes:
        producer: who wrote them.
        arrived, finished, delivered: by request id.
        steps: in the order in which they were scheduled.
    """

    producer: Producer
    arrived: dict[str, RequestArrived] = field(default_factory=dict)
    finished: dict[str, RequestFinished] = field(default_factory=dict)
    delivered: dict[str, RequestDelivered] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def scheduled(self, request_id: str) -> int:
        """Tokens that were scheduled for a request, over all its steps."""
        return sum(one.tokens for one in self.of(request_id))

    def of(self, request_id: str) -> list[Member]:
        """A request's part in each of its steps, in order."""
        return [step.members[request_id] for step in self.steps if request_id in step.members]

    def check_account(self, request_id: str) -> None:
        """The identity of token accounts, and the counts of steps against those of the request."""
        arrived, finished = self.arrived[request_id], self.finished[request_id]
        terms = {
            "prompt": arrived.prompt_tokens - finished.unscheduled_tokens - finished.cached_tokens,
            "output": max(finished.output_tokens - 1, 0),
            "recomputed": finished.recomputed_tokens,
            "rejected": finished.rejected_tokens,
            "discarded": finished.discarded_tokens,
        }
        scheduled = self.scheduled(request_id)
        assert scheduled == sum(terms.values()), f"{request_id}: {scheduled} of {terms}"
        assert all(value >= 0 for value in terms.values()), f"{request_id}: {terms}"
        assert finished.unscheduled_tokens >= 0
        emitted = sum(one.emitted or 0 for one in self.of(request_id))
        assert emitted == finished.output_tokens, f"{request_id}: steps emitted {emitted}"

    def check_stamps(self, request_id: str) -> None:
        """A request's stamps are in the order of its life, and are those of its steps."""
        arrived, finished = self.arrived[request_id], self.finished[request_id]
        stamps = [
            arrived.arrival_ns,
            finished.queued_ns,
            finished.scheduled_ns,
            finished.first_token_ns,
            finished.last_token_ns,
            finished.finished_ns,
        ]
        known = [stamp for stamp in stamps if stamp is not None]
        assert known == sorted(known), f"{request_id}: {stamps}"
        assert (finished.first_token_ns is None) == (finished.output_tokens == 0)
        assert (finished.last_token_ns is None) == (finished.output_tokens == 0)
        steps = [step for step in self.steps if request_id in step.members]
        assert (finished.scheduled_ns is None) == (not steps)
        if steps:
            assert finished.scheduled_ns == steps[0].scheduled.schedule_ns
        made = [step.done.result_ns for step in steps if step.members[request_id].emitted
                and step.done is not None]  # fmt: skip
        if made:
            assert finished.first_token_ns == made[0]
            assert finished.last_token_ns == made[-1]

    def check_steps(self, engine: "Engine") -> None:
        """Every step is there, member by member, as the scheduler made it and took its result."""
        assert len(self.steps) == len(engine.steps)
        for step, flight in zip(self.steps, engine.steps, strict=True):
            assert set(step.members) == set(flight.output.num_scheduled_tokens)
            made = step.scheduled
            assert (made.running, made.waiting, made.kv_used) == flight.counts
            assert made.kv_total == engine.shape.blocks - 1
            for name, member in step.members.items():
                assert (member.tokens, member.context, member.drafts) == (
                    flight.output.num_scheduled_tokens[name],
                    flight.context[name],
                    flight.drafts.get(name, 0),
                ), f"{name} in step {step.scheduled.seq}"
                assert (member.emitted, member.accepted) == (
                    flight.emitted.get(name, 0),
                    flight.accepted.get(name, 0),
                ), f"{name} in the result of step {step.scheduled.seq}"
                if member.context < self.arrived[name].prompt_tokens:
                    assert member.phase == "prefill"

    def check_ends(self, engine: "Engine") -> None:
        """Every request ended as vLLM says, with vLLM's own counts."""
        for name, request in engine.requests.items():
            finished = self.finished[name]
            assert finished.finish_reason == str(request.get_finished_reason())
            assert finished.output_tokens == len(engine.emitted.get(name, []))
            assert finished.preemptions == request.num_preemptions
            assert finished.rejected_tokens == engine.rejected[name]
            assert finished.discarded_tokens >= engine.cut[name]

    def check(self) -> None:
        """Every request of this core has its end, its account and its stamps in order."""
        assert set(self.finished) == set(self.arrived)
        for request_id in self.arrived:
            self.check_account(request_id)
            self.check_stamps(request_id)


def read(journal_dir: Path, kind: str) -> list[Facts]:
    """Every journal of a kind, by rank; each must be whole, with nothing swallowed."""
    found = [_facts(path) for path in directory.scan(journal_dir) if path.name.startswith(kind)]
    return sorted(found, key=lambda one: one.producer.dp_rank)


def _facts(path: Path) -> Facts:
    reader = JournalReader.open(path)
    facts = Facts(reader.producer)
    try:
        _put_together(facts, list(_records(reader)))
        assert not any((reader.lost.overwritten, reader.lost.corrupt, reader.lost.undecodable))
        assert (reader.counters.dropped, reader.counters.swallowed) == (0, 0)
    finally:
        reader.close()
    return facts


def _records(reader: JournalReader) -> Iterator[Record]:
    while records := reader.read():
        yield from records


def _put_together(facts: Facts, records: list[Record]) -> None:
    names: dict[int, str] = {}
    done = {one.seq: one.whole() for one in records if isinstance(one, StepDone)}
    for one in records:
        if isinstance(one, RequestArrived):
            assert one.index not in names, f"{one.request_id} arrived twice"
            again = "" if one.request_id not in facts.arrived else f" (index {one.index})"
            names[one.index] = one.request_id + again
            facts.arrived[names[one.index]] = one
        elif isinstance(one, RequestFinished):
            assert names[one.index] not in facts.finished, f"{names[one.index]} ended twice"
            facts.finished[names[one.index]] = one
        elif isinstance(one, RequestDelivered):
            assert one.request_id not in facts.delivered, f"{one.request_id} delivered twice"
            facts.delivered[one.request_id] = one
        elif isinstance(one, StepScheduled):
            facts.steps.append(_step(one, done.get(one.seq), names))


def _step(one: StepScheduled, done: StepDone | None, names: dict[int, str]) -> Step:
    size = len(one.request_index)
    for array in (one.phase, one.tokens, one.context, one.drafts or range(size)):
        assert len(array) == size
    members = {}
    for place, index in enumerate(one.request_index):
        members[names[index]] = Member(
            "prefill" if one.phase[place] == PHASE_PREFILL else "decode",
            one.tokens[place],
            one.context[place],
            one.drafts[place] if one.drafts else 0,
            _at(done and done.emitted, place),
            _at(done and done.accepted, place),
        )
    assert len(members) == size
    return Step(one, done, members)


def _at(array: list[int] | None, place: int) -> int | None:
    if array is None:
        return None
    return array[place] if array else 0
