"""What holds for any records in any order, and for a join that was saved and went on."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.agent.batches import make_batches
from otel_llm.agent.engine_join import EngineJoin
from otel_llm.agent.follow import make_join
from otel_llm.agent.hygiene import clean_producer
from otel_llm.agent.join import Join, JoinState, Limits
from otel_llm.agent.open_facts import Key
from otel_llm.agent.pairing import HOLD_NS, Pairing
from otel_llm.agent.rules import MAX_STAMP_NS
from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.facts import Producer, RequestArrived, RequestDelivered
from otel_llm.facts.joined import (
    Joined,
    JoinedAttempt,
    JoinedCall,
    JoinedRequest,
    JoinedStep,
)
from otel_llm.journal.records import KINDS, Record
from otel_llm.spans.otlp import spans_of
from tests.agent.builders import (
    ENGINE,
    FRONTEND,
    FRONTEND_ID,
    GATEWAY,
    anchor,
    arrived,
    done,
    finished,
    scheduled,
)

LIMITS = Limits(max_open_requests=50, step_span_ratio=1.0)
SECOND = 1_000_000_000


@st.composite
def lives(draw: st.DrawFn) -> list[Record]:
    """Some requests and steps in an order that an engine may write, the wall clock being set."""
    queues: list[list[Record]] = []
    count = draw(st.integers(1, 5))
    for index in range(1, count + 1):
        start = draw(st.integers(0, 50))
        queues.append([arrived(index, start), finished(index, start)])
    for seq in range(1, draw(st.integers(0, 6)) + 1):
        members = tuple(draw(st.sets(st.integers(1, count), min_size=1)))
        start = draw(st.integers(3, 60))
        emitted = tuple(draw(st.integers(0, 1)) for _ in members)
        queues.append([scheduled(seq, start, members), done(seq, start + 5, emitted)])
    steps = draw(st.lists(st.integers(-9, 9), max_size=4))
    queues.append([anchor(number, step * SECOND) for number, step in enumerate(steps)])
    records: list[Record] = [anchor()]
    while queues := [queue for queue in queues if queue]:
        records.append(draw(st.sampled_from(queues)).pop(0))
    return records


def _value(kind: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    """Any value that the decoder lets into a field of this type."""
    numbers = st.one_of(
        st.integers(-(1 << 63), (1 << 64) - 1),
        st.integers(0, 3),
        st.sampled_from([MAX_STAMP_NS, 1 << 32, 1 << 16]),
    )
    if isinstance(kind, msgspec.inspect.LiteralType):
        return st.sampled_from(list(kind.values))
    if isinstance(kind, msgspec.inspect.UnionType):
        return st.one_of(*map(_value, kind.types))
    if isinstance(kind, msgspec.inspect.ListType):
        return st.lists(_value(kind.item_type), max_size=3)
    by_type: dict[type, st.SearchStrategy[Any]] = {
        msgspec.inspect.IntType: numbers,
        msgspec.inspect.StrType: st.text(max_size=5) | st.just("x" * 5_000),
        msgspec.inspect.BytesType: st.binary(max_size=3),
        msgspec.inspect.BoolType: st.booleans(),
        msgspec.inspect.NoneType: st.none(),
    }
    return by_type[type(kind)]


def _records(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return st.builds(kind, **{field.name: _value(field.type) for field in info.fields})


HOSTILE: st.SearchStrategy[Record] = st.one_of(*map(_records, KINDS.values()))
"""Any record that the decoder lets through."""


def run_whole(producer: Producer, records: Sequence[Record]) -> list[Joined]:
    """One join reads all and ends."""
    join = make_join(producer, LIMITS, anchor(-1))
    return [*join.feed(records), *join.end(clean_close=False)]


def run_saved(producer: Producer, pieces: Sequence[Sequence[Record]]) -> list[Joined]:
    """A new join, made from what the one before saved, reads each piece."""
    store: dict[tuple[str, Key], bytes] = {}
    state = msgspec.msgpack.encode(JoinState())
    joined: list[Joined] = []
    join = make_join(producer, LIMITS, anchor(-1))
    for piece in pieces:
        join = make_join(producer, LIMITS, anchor(-1))
        join.restore(
            msgspec.msgpack.decode(state, type=JoinState),
            [(kind, key, body) for (kind, key), body in store.items()],
        )
        joined += join.feed(piece)
        state = _save(join, store)
    return [*joined, *join.end(clean_close=False)]


def _save(join: Join, store: dict[tuple[str, Key], bytes]) -> bytes:
    for kind, key, body in join.changes():
        if body is None:
            store.pop((kind, key), None)
        else:
            store[kind, key] = body
    join.saved()
    return msgspec.msgpack.encode(join.state)


def identities(joined: Sequence[Joined]) -> Counter[tuple[str, object]]:
    """How often each fact was given."""
    names: dict[type, Any] = {
        JoinedRequest: lambda fact: fact.arrived.index,
        JoinedStep: lambda fact: fact.scheduled.seq,
        JoinedCall: lambda fact: fact.call.call_id,
        JoinedAttempt: lambda fact: (
            fact.attempt.call_id,
            fact.attempt.span_id,
            fact.attempt.attempt,
        ),
    }
    return Counter(
        (type(fact).__name__, names[type(fact)](fact)) for fact in joined if type(fact) in names
    )


def check_durations(joined: Sequence[Joined]) -> None:
    """No stage comes before the one before it, in rows and in spans."""
    for fact in joined:
        if isinstance(fact, JoinedRequest):
            end = fact.finished
            stages = (fact.arrived.arrival_ns, end.queued_ns, end.scheduled_ns,
                      end.first_token_ns, end.last_token_ns)  # fmt: skip
            known = [stage for stage in stages if stage is not None]
            assert known == sorted(known)
            assert end.finished_ns >= fact.arrived.arrival_ns
            assert end.first_output_ns is None or end.first_output_ns >= fact.arrived.arrival_ns
        if isinstance(fact, JoinedStep):
            assert fact.ended_ns >= fact.scheduled.schedule_ns
        for _, span in spans_of(fact):
            assert span.end_time_unix_nano >= span.start_time_unix_nano


@settings(deadline=None)
@given(lives(), st.data())
def test_every_fact_once(records: list[Record], data: st.DataObject) -> None:
    """However feeds are cut and joins are saved in between, each fact comes once and the same."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(records)), max_size=5)))
    bounds = [0, *cuts, len(records)]
    pieces = [records[start:stop] for start, stop in itertools.pairwise(bounds)]
    whole = run_whole(ENGINE, records)
    assert run_saved(ENGINE, pieces) == whole
    counts = identities(whole)
    assert set(counts.values()) == {1}
    requests = {record.index for record in records if isinstance(record, RequestArrived)}
    assert {key for kind, key in counts if kind == "JoinedRequest"} == requests
    check_durations(whole)


@settings(deadline=None)
@given(lives(), st.randoms(use_true_random=False), st.data())
def test_shuffled_repeated_and_missing(
    records: list[Record], order: random.Random, data: st.DataObject
) -> None:
    """Records in any order, again or not at all: no fact twice, no time backwards."""
    kept = data.draw(st.lists(st.sampled_from(records), max_size=40))
    mixed = [*records, *kept]
    order.shuffle(mixed)
    joined = run_whole(ENGINE, mixed[: data.draw(st.integers(0, len(mixed)))])
    assert set(identities(joined).values()) <= {1}
    check_durations(joined)


PRODUCERS = st.builds(
    msgspec.structs.replace,
    st.sampled_from([ENGINE, FRONTEND, GATEWAY]),
    service=st.text(max_size=5) | st.just("x" * 5_000),
    model=st.text(max_size=5),
    boot_id=st.text(max_size=5),
    dp_rank=st.integers(-(1 << 63), (1 << 64) - 1),
)


def _claimed(record: Record) -> Record:
    """A request that says another process serves its API, and that process's half of it."""
    if isinstance(record, RequestArrived):
        return msgspec.structs.replace(record, frontend=FRONTEND_ID, request_id="same")
    if isinstance(record, RequestDelivered):
        return msgspec.structs.replace(record, request_id="same")
    return record


@settings(max_examples=150, deadline=None)
@given(st.lists(HOSTILE, max_size=8), PRODUCERS, st.sets(st.integers(0, 7)))
def test_hostile_records_become_batches_or_are_counted(
    records: list[Record], stated: Producer, of_frontend: set[int]
) -> None:
    """Whatever the decoder lets through can be joined, paired, encoded and sent."""
    producer = clean_producer(stated, Counter())
    join = make_join(producer, LIMITS, Anchor(EpochNs(1), MonotonicNs(1), 1))
    claimed = [_claimed(record) if n in of_frontend else record for n, record in enumerate(records)]
    pairing = Pairing(3)
    joined = pairing.take([*join.feed(claimed), *join.end(clean_close=False)], MonotonicNs(0))
    joined += pairing.expire(MonotonicNs(HOLD_NS), lambda: ())
    make_batches(joined, "boot-1")
    check_durations(joined)
    assert set(identities(joined).values()) <= {1}


@settings(deadline=None)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=300))
def test_open_requests_are_bounded(indices: list[int]) -> None:
    """However many requests arrive, no more than the bound are remembered, and the rest counted."""
    join = EngineJoin(ENGINE, LIMITS, anchor())
    join.feed([arrived(index) for index in indices])
    arrivals = len(join.requests) + join.lost["state_full"]
    assert len(join.requests) <= LIMITS.max_open_requests
    assert arrivals >= len(set(indices))
