"""Requests in flight, in the checkpoint."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.agent.open_facts import OpenRequest
from otel_llm.agent.open_requests import KIND, OPEN, OpenRequests
from tests.agent.builders import anchor, arrived

Store = dict[tuple[str, Any], bytes]


def request(index: int = 1) -> OpenRequest:
    """One that has arrived."""
    return OpenRequest(index, anchor(), arrived(index))


def save(requests: OpenRequests, store: Store) -> list[tuple[str, Any]]:
    """Apply what changed, as the database does; gives the rows that were written."""
    changes = requests.changes()
    for kind, key, body in changes:
        if body is None:
            store.pop((kind, key), None)
        else:  # a row that is written again keeps its place
            store[kind, key] = body
    requests.saved()
    return [(kind, key) for kind, key, body in changes if body is not None]


def restored(store: Store, most: int = 100) -> OpenRequests:
    """Those of an agent that starts from what was saved."""
    requests = OpenRequests(most)
    requests.restore([(kind, key, body) for (kind, key), body in store.items()])
    return requests


def test_those_of_one_save_share_a_row() -> None:
    """It is written once, and goes when the last of them has ended."""
    requests, store = OpenRequests(10), Store()
    for index in (1, 2):
        requests.put(index, request(index))
    assert save(requests, store) == [(KIND, 0), (OPEN, "")]
    requests.end(1)
    assert (KIND, 0) not in save(requests, store)
    assert list(restored(store)) == [request(2)]
    requests.end(2)
    save(requests, store)
    assert [kind for kind, _ in store if kind in (KIND, OPEN)] == []


def test_one_that_changes_is_written_again() -> None:
    """What it is now comes back, in its place among the others; the others are not written."""
    requests, store = OpenRequests(10), Store()
    for index in (1, 2):
        requests.put(index, request(index))
    save(requests, store)
    first = requests.get(1)
    assert first is not None
    first.incomplete = True
    requests.touch(1)
    assert save(requests, store) == [(KIND, 1)]
    assert [(one.index, one.incomplete) for one in restored(store)] == [(1, True), (2, False)]


def test_one_that_came_and_went_is_never_written() -> None:
    """It costs the checkpoint nothing but its number among those that ended."""
    requests = OpenRequests(10)
    requests.put(1, request())
    requests.end(1)
    assert save(requests, Store()) == [("request.ended", 0)]


def test_a_row_is_not_kept_for_a_few() -> None:
    """Those that stay long are written again: they hold no room for those beside them."""
    requests, store = OpenRequests(100), Store()
    for index in range(16):
        requests.put(index, request(index))
    save(requests, store)
    before = len(store[KIND, 0])
    for index in range(14):
        requests.end(index)
    save(requests, store)
    assert [key for kind, key in store if kind == KIND] == [1]
    assert len(store[KIND, 1]) < before / 7
    assert [one.index for one in restored(store)] == [14, 15]


def test_what_an_earlier_agent_wrote_comes_back() -> None:
    """It had a row for each request; those go with it."""
    store: Store = {("request", 7): msgspec.msgpack.encode(request(7)),
                    ("request", 8): msgspec.msgpack.encode(request(8))}  # fmt: skip
    requests = restored(store)
    requests.end(8)
    save(requests, store)
    assert list(restored(store)) == [request(7)]
    assert ("request", 8) not in store
    requests.end(7)
    save(requests, store)
    assert [kind for kind, _ in store if kind != "request.ended"] == []


def test_damaged_numbers_are_told() -> None:
    """Bytes that are no numbers are an error, as a row that cannot be decoded is."""
    with pytest.raises(msgspec.ValidationError, match=f"{OPEN}: 3 bytes"):
        restored({(OPEN, ""): b"abc"})


NUMBERS = st.integers(1, 6)
TURNS = st.one_of(
    *(st.tuples(st.just(what), NUMBERS) for what in ("put", "end", "change")),
    *(st.tuples(st.just(what), st.just(0)) for what in ("save", "fail", "die")),
)


@pytest.mark.parametrize("most", [3, 10])
@given(turns=st.lists(TURNS, max_size=30))
def test_what_is_saved_is_what_is_open(most: int, turns: list[tuple[str, int]]) -> None:
    """Whatever comes, ends, changes, fails to be saved, and whenever the agent dies; in order."""
    requests, store, safe = OpenRequests(most), Store(), list[OpenRequest]()
    for what, index in turns:
        open_now = requests.get(index)
        if what == "put" and open_now is None:
            requests.put(index, request(index))
        elif what == "end":
            requests.end(index)
        elif what == "change" and open_now is not None:
            open_now.incomplete = True
            requests.touch(index)
        elif what == "fail":
            requests.changes()
        elif what == "die":
            requests = restored(store, most)
            assert list(requests) == safe
        elif what == "save":
            save(requests, store)
            safe = [msgspec.structs.replace(one) for one in requests]
            assert bool(safe) == any(kind in (KIND, OPEN) for kind, _ in store)


def test_a_row_that_is_missing_leaves_no_seat_behind() -> None:
    """What the checkpoint names and no row tells of is let go, and counted."""
    requests, store = OpenRequests(10), Store()
    for index in (1, 2):
        requests.put(index, request(index))
        requests.seats.take(index)
        save(requests, store)
    del store[KIND, 0]
    after = restored(store)
    assert (list(after), after.missing) == ([request(2)], 1)
    assert after.seats.unseen([1, 2]) == [1]
