"""Too little memory: fewer requests at once, and never a row twice."""

from collections.abc import Callable, Sequence

import pytest

from otel_llm.collector.decoder import NativeBlock, Signal, Window, decode
from otel_llm.collector.drain import store
from otel_llm.collector.drain.quarantine import read_request
from otel_llm.exporters.clickhouse.engine import Engine, Handle
from otel_llm.exporters.clickhouse.errors import EngineError
from tests.collector.drain.way import Way, body_of, names

Decode = Callable[[Signal, Sequence[bytes], Sequence[Window]], list[NativeBlock]]


def with_memory_for(most: int, never: bytes = b"nobody sends this") -> Decode:
    """A decoder that takes so many requests at once, and one request not at all."""

    def short(
        signal: Signal, bodies: Sequence[bytes], windows: Sequence[Window]
    ) -> list[NativeBlock]:
        if len(bodies) > most or any(never in body for body in bodies):
            raise MemoryError
        return decode(signal, bodies, windows)

    return short


def test_requests_that_are_too_many_are_stored_apart(
    way: Way, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the memory for all of them they are stored one by one, at once."""
    monkeypatch.setattr(store, "decode", with_memory_for(1))
    way.fill(*(body_of(f"s{n}") for n in range(5)))
    way.drain()
    assert names(engine) == ["s0", "s1", "s2", "s3", "s4"]
    assert way.set_aside == []


def test_a_request_that_memory_is_never_enough_for_is_set_aside(
    way: Way, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some tries, counted; the others are stored."""
    monkeypatch.setattr(store, "decode", with_memory_for(9, b"evil"))
    evil = body_of("evil")
    way.fill(body_of("a"), evil, body_of("b"))
    assert 3 < way.drain_as_long_as_it_fails() < 50
    assert names(engine) == ["a", "b"]
    [kept] = way.set_aside
    batch, table = read_request(kept)
    assert (batch.bodies(), table) == ([evil], "undecoded")
    assert way.store.dropped["undecoded"] == 1


def test_what_may_be_stored_is_not_stored_in_halves(
    way: Way, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the insert, then short of memory: it waits, for the whole may be there."""
    path = way.fill(body_of("a"), body_of("b"))
    kept = path.read_bytes()
    way.drain()
    path.write_bytes(kept)
    way = way.again()
    with monkeypatch.context() as patch:
        patch.setattr(store, "decode", with_memory_for(1))
        assert way.drain_as_long_as_it_fails() == 100
    way.drain()
    assert names(engine) == ["a", "b"]


@pytest.mark.parametrize("left", [False, True])
def test_memory_that_the_engine_lacks(
    way: Way, engine: Engine, monkeypatch: pytest.MonkeyPatch, left: bool
) -> None:
    """A block that is too large for it is stored in halves, unless it may be there already."""
    insert, large = Handle.insert, len(decode("traces", [body_of("a")])[0].body) + 10

    def small(self: Handle, statement: str, fmt: str, data: bytes) -> int:
        if len(data) > large:
            raise EngineError(241, "no memory", "MEMORY_LIMIT_EXCEEDED")
        return insert(self, statement, fmt, data)

    way.fill(body_of("a"), body_of("b"))
    if left:
        way = way.again()
    with monkeypatch.context() as patch:
        patch.setattr(Handle, "insert", small)
        assert way.drain_as_long_as_it_fails() == (100 if left else 19)
    way.drain()
    assert names(engine) == ["a", "b"]
