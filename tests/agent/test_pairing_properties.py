"""What holds for two journals read in any order, by an agent that dies at any point."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.agent.follow import make_join
from otel_llm.agent.join import Join, JoinState, Limits
from otel_llm.agent.open_facts import Change, Key
from otel_llm.agent.pairing import HOLD_NS, Pairing
from otel_llm.clock import MonotonicNs
from otel_llm.facts import Producer, RequestArrived, RequestDelivered
from otel_llm.facts.joined import Joined, JoinedRequest
from otel_llm.journal.records import Record
from tests.agent.builders import (
    ENGINE,
    FRONTEND,
    FRONTEND_ID,
    anchor,
    arrived,
    delivered,
    done,
    finished,
    scheduled,
)

LIMITS = Limits(max_open_requests=50, step_span_ratio=0.0)
NOW = MonotonicNs(10)
Store = dict[tuple[str, Key], bytes]


class Two(NamedTuple):
    """An engine's journals: its core's and its API server's."""

    core: list[Record]
    frontend: list[Record]


@st.composite
def engines(draw: st.DrawFn) -> Two:
    """Some requests of which any record may be missing."""
    core: list[Record] = [anchor()]
    frontend: list[Record] = [anchor()]
    for index in range(1, draw(st.integers(1, 6)) + 1):
        start = draw(st.integers(0, 9)) * 100
        kinds = draw(st.sets(st.sampled_from(["arrived", "step", "finished", "delivered"])))
        if "arrived" in kinds:
            core.append(arrived(index, start, frontend=FRONTEND_ID))
        if "step" in kinds:
            core += [scheduled(index, start + 3, (index,)), done(index, start + 8)]
        if "finished" in kinds:
            core.append(finished(index, start))
        if "delivered" in kinds:
            frontend.append(delivered(index, start))
    return Two(core, frontend)


class Agent:
    """Two joins and a pairing, and what was saved of them."""

    def __init__(self) -> None:
        self.stores: dict[str, Store] = {"core": {}, "frontend": {}, "": {}}
        self.states = {name: msgspec.msgpack.encode(JoinState()) for name in ("core", "frontend")}
        self.out: list[Joined] = []
        self.start()

    def start(self) -> None:
        """Start from what was saved."""
        self.joins = {
            "core": self._join(ENGINE, "core"),
            "frontend": self._join(FRONTEND, "frontend"),
        }
        self.pairing = Pairing(LIMITS.max_open_requests)
        self.pairing.restore(_rows(self.stores[""]))
        self.unsaved: list[Joined] = []

    def read(self, name: str, records: Sequence[Record]) -> None:
        """Read on in a journal."""
        self.unsaved += self.pairing.take(self.joins[name].feed(records), NOW)

    def end(self, name: str) -> None:
        """A journal's writer is gone, and all is read."""
        self.unsaved += self.pairing.take(self.joins[name].end(clean_close=False), NOW)

    def save(self) -> None:
        """What was read is safe: cursors, open facts, halves and what goes out."""
        for name, join in self.joins.items():
            _apply(self.stores[name], join.changes())
            join.saved()
            self.states[name] = msgspec.msgpack.encode(join.state)
        _apply(self.stores[""], self.pairing.changes())
        self.pairing.saved()
        self.out += self.unsaved
        self.unsaved = []

    def _join(self, producer: Producer, name: str) -> Join:
        join = make_join(producer, LIMITS, anchor(-1))
        state = msgspec.msgpack.decode(self.states[name], type=JoinState)
        join.restore(state, _rows(self.stores[name]))
        return join


def _rows(store: Store) -> list[tuple[str, Key, bytes]]:
    return [(kind, key, body) for (kind, key), body in store.items()]


def _apply(store: Store, changes: Sequence[Change]) -> None:
    for kind, key, body in changes:
        if body is None:
            store.pop((kind, key), None)
        else:
            store[kind, key] = body


def requests(agent: Agent) -> Counter[bytes]:
    """The requests that came of it, once all waits are over."""
    agent.save()
    late = agent.pairing.expire(MonotonicNs(NOW + HOLD_NS), lambda: ())
    facts = [*agent.out, *late]
    return Counter(
        msgspec.msgpack.encode(fact) for fact in facts if isinstance(fact, JoinedRequest)
    )


def read_in_one(two: Two) -> Counter[bytes]:
    """One agent reads one journal after the other."""
    agent = Agent()
    for name, records in two._asdict().items():
        agent.read(name, records)
        agent.end(name)
    return requests(agent)


@settings(deadline=None, max_examples=200)
@given(engines(), st.data())
def test_any_interleaving_with_any_restart(two: Two, data: st.DataObject) -> None:
    """However reading is shared out, saved and cut off by deaths, the requests are the same."""
    agent = Agent()
    queues = two._asdict()
    read = dict.fromkeys(queues, 0)
    safe = dict(read)
    for _ in range(200):
        left = [name for name in queues if read[name] <= len(queues[name])]
        if not left:
            break
        name = data.draw(st.sampled_from(left))
        if read[name] == len(queues[name]):
            agent.end(name)
            read[name] += 1
        else:
            upto = data.draw(st.integers(read[name] + 1, len(queues[name])))
            agent.read(name, queues[name][read[name] : upto])
            read[name] = upto
        what = data.draw(st.sampled_from(["go on", "save", "die"]))
        if what == "save":
            agent.save()
            safe = dict(read)
        elif what == "die":
            agent.start()
            read = dict(safe)
    else:
        for name, records in queues.items():
            agent.read(name, records[read[name] :])
            if read[name] <= len(records):
                agent.end(name)
    assert requests(agent) == read_in_one(two)


@settings(deadline=None)
@given(engines())
def test_every_request_once(two: Two) -> None:
    """A request is one row, whether both halves name it or one; one half alone is incomplete."""
    found = [
        msgspec.msgpack.decode(body, type=JoinedRequest) for body in read_in_one(two).elements()
    ]
    by_id = Counter(fact.arrived.request_id for fact in found if fact.arrived.request_id)
    cores = {one.request_id for one in two.core if isinstance(one, RequestArrived)}
    halves = {one.request_id for one in two.frontend if isinstance(one, RequestDelivered)}
    assert by_id == dict.fromkeys(cores | halves, 1)
    whole = {fact.arrived.request_id for fact in found if not fact.incomplete}
    assert whole <= cores & halves
    assert {
        fact.arrived.request_id for fact in found if fact.delivered_tokens is not None
    } == halves
