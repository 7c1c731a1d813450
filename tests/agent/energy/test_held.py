"""Requests that wait for energy, in the checkpoint."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.agent.energy.requests import KIND, Held, HeldRequests, joules_of
from otel_llm.energy.account import Amount
from otel_llm.facts.energy import RequestJoules
from otel_llm.facts.joined import JoinedRequest, SpanIds
from tests.agent.builders import ENGINE, anchor, arrived, finished

Store = dict[tuple[str, Any], bytes]
AMOUNT = Amount(7, 10, 20, 1, "counter", 1, False, "work", "step_time", 5, 3.0)


def held(number: int = 7, tenant_index: int = 1) -> tuple[JoinedRequest, Held]:
    """One that waits for one device."""
    fact = JoinedRequest(
        ENGINE, anchor(), "finished", arrived(tenant_index), finished(tenant_index),
        SpanIds("1" * 32, "1" * 16),
    )  # fmt: skip
    return fact, Held(number, 100, ("GPU-a",), ("GPU-a",), RequestJoules())


def save(requests: HeldRequests, store: Store) -> list[Any]:
    """Apply what changed, as the database does; gives the keys of what was written or removed."""
    changes = requests.changes()
    for kind, key, body in changes:
        if body is None:
            store.pop((kind, key), None)
        else:  # a row that is written again keeps its place
            store[kind, key] = body
    requests.saved()
    return [(kind, body is None) for kind, _, body in changes]


def restored(store: Store) -> HeldRequests:
    """Those of an agent that starts from what was saved."""
    requests = HeldRequests(10)
    requests.restore([(kind, key, body) for (kind, key), body in store.items()])
    return requests


def test_a_request_is_written_once() -> None:
    """What it is charged is written beside it; all comes back as it was."""
    requests, store = HeldRequests(10), Store()
    requests.hold(*held())
    save(requests, store)
    before = store[KIND, 0]
    requests.charge(7, joules_of(AMOUNT))
    assert [kind for kind, _ in save(requests, store)] == ["energy.states"]
    assert store[KIND, 0] is before
    again = restored(store)
    [state] = again
    assert state == requests.get(7)
    assert state.joules.total_mj == 30
    assert again.request(7) == requests.request(7)


def test_one_that_is_held_again_is_written_again() -> None:
    """Another request of the same number takes its place, in the checkpoint too."""
    requests, store = HeldRequests(10), Store()
    requests.hold(*held())
    save(requests, store)
    requests.hold(*held(tenant_index=2))
    save(requests, store)
    assert restored(store).request(7).arrived.index == 2


def test_one_that_is_held_again_does_not_go_with_the_one_before() -> None:
    """What was over of the first does not end the second, which is told like any other."""
    requests = HeldRequests(10)
    requests.hold(*held())
    requests.closed("GPU-a", 1_000, 10)
    assert len(requests.ready(1_000)) == 1
    requests.hold(*held(tenant_index=2))
    requests.finish(1_000)
    requests.closed("GPU-a", 1_000, 10)
    assert [fact.arrived.index for fact in requests.ready(1_000)] == [2]


def test_nothing_stays_of_those_that_are_over() -> None:
    """Also of one that an earlier agent wrote."""
    requests, store = HeldRequests(10), Store()
    requests.hold(*held())
    save(requests, store)
    second = restored(store)
    assert second.closed("GPU-a", 1_000, 10) == [7]
    assert [fact.energy is not None for fact in second.ready(1_000)] == [True]
    second.finish(1_000)
    save(second, store)
    assert store == {}


def test_one_that_came_and_went_is_never_written() -> None:
    """It costs the checkpoint nothing."""
    requests = HeldRequests(10)
    requests.hold(*held())
    requests.closed("GPU-a", 1_000, 10)
    list(requests.ready(1_000))
    requests.finish(1_000)
    assert [body for _, _, body in requests.changes() if body is not None] == []


def test_what_has_no_state_is_not_held() -> None:
    """A request without the row beside it is taken out at the next save."""
    requests, store = HeldRequests(10), Store()
    requests.hold(*held())
    save(requests, store)
    del store["energy.states", 0]
    second = restored(store)
    assert len(second) == 0
    save(second, store)
    assert store == {}


def test_those_of_one_save_share_a_row() -> None:
    """It goes when the last of them has gone, also with an agent that starts in between."""
    requests, store = HeldRequests(10), Store()
    for number in (7, 8):
        requests.hold(*held(number))
    save(requests, store)
    requests.take(7)
    save(requests, store)
    assert [key for key in store if key[0] == KIND] == [(KIND, 0)]
    second = restored(store)
    second.hold(*held(9))
    second.take(8)
    save(second, store)
    assert [key for key in store if key[0] == KIND] == [(KIND, 1)]
    assert [one.number for one in restored(store)] == [9]


def test_what_an_earlier_agent_wrote_comes_back() -> None:
    """It had a row for each request; those go with it."""
    requests, store = HeldRequests(10), Store()
    requests.hold(*held())
    save(requests, store)
    del store[KIND, 0]
    store["energy.request", 7] = msgspec.msgpack.encode(requests.request(7))
    second = restored(store)
    assert list(second) == list(requests)
    second.take(7)
    save(second, store)
    assert store == {}


NUMBERS = st.integers(1, 6)
TURNS = st.one_of(
    *(st.tuples(st.just(what), NUMBERS) for what in ("hold", "take", "charge")),
    *(st.tuples(st.just(what), st.just(0)) for what in ("save", "fail", "die")),
)


@pytest.mark.parametrize("most", [3, 10])
@given(turns=st.lists(TURNS, max_size=30))
def test_what_is_saved_is_what_is_held(most: int, turns: list[tuple[str, int]]) -> None:
    """Whatever comes, goes, is charged, fails to be saved, and whenever the agent dies."""
    requests, store, safe = HeldRequests(most), Store(), dict[int, tuple[JoinedRequest, Held]]()
    for turn, (what, number) in enumerate(turns):
        if what == "hold":
            requests.hold(*held(number, turn + 1))
        elif what == "take":
            requests.take(number)
        elif what == "charge":
            if requests.get(number) is not None:
                requests.charge(number, joules_of(AMOUNT))
        elif what == "fail":
            requests.changes()
        elif what == "die":
            requests = HeldRequests(most)
            requests.restore([(kind, key, body) for (kind, key), body in store.items()])
            assert {one.number: (requests.request(one.number), one) for one in requests} == safe
        else:
            save(requests, store)
            # As it is written: what is charged later changes these very objects.
            safe = {
                one.number: (requests.request(one.number), msgspec.structs.replace(one))
                for one in requests
            }
            assert all(key[0] != KIND or store[key] for key in store)
            assert bool(store) == bool(safe)
