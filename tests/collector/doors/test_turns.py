"""Turns to read a body, on an event loop whose clock jumps to the next thing that is due."""

import asyncio
import contextlib
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

import anyio
import pytest

from otel_llm.collector.doors import turns
from otel_llm.collector.doors.refusal import Refusal
from otel_llm.collector.doors.turns import Turns

P = ParamSpec("P")


class Jumping(asyncio.SelectorEventLoop):
    """An event loop that never waits: its time is that of the timer it would have waited for."""

    now_s = 0.0

    def __init__(self) -> None:
        selector = selectors.DefaultSelector()
        self._select, selector.select = selector.select, self._jump  # type: ignore[method-assign]
        super().__init__(selector)

    def time(self) -> float:
        """Seconds that have been jumped over."""
        return self.now_s

    def _jump(self, timeout: float | None = None) -> Any:  # noqa: ANN401  what a selector gives
        self.now_s += timeout or 0.0
        return self._select(0 if timeout is not None else None)


def jumping(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """The test in an event loop of its own that jumps."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with contextlib.closing(Jumping()) as loop:
            loop.run_until_complete(test(*args, **kwargs))

    return run


async def taking(at: Turns, seconds: float, told: list[str]) -> None:
    """Take a turn for so long, and note how it ended."""
    try:
        async with at.one():
            await anyio.sleep(seconds)
        told.append("read")
    except Refusal as refusal:
        told.append(refusal.reason)


@jumping
async def test_alone_a_reader_has_its_time() -> None:
    """Nobody waits, so nobody is hurried; past the limit it is `incomplete`."""
    at, told = Turns(1), list[str]()
    await taking(at, 29.0, told)
    await taking(at, 31.0, told)
    assert (told, at.taken) == (["read", "incomplete"], 0)


@jumping
async def test_who_waits_hurries_who_reads() -> None:
    """The reader that began first is told `busy`, the others go on, the one that waited reads."""
    at, told = Turns(2), list[str]()
    async with anyio.create_task_group() as group:
        group.start_soon(taking, at, 4.0, told)
        await anyio.sleep(0.1)
        group.start_soon(taking, at, 3.0, told)
        await anyio.sleep(0.1)
        group.start_soon(taking, at, 0.0, told)
    assert (told, at.taken) == (["busy", "read", "read"], 0)


@jumping
async def test_whoever_gets_a_turn_of_many_waiting_is_hurried_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A queue of readers that never read moves on at their pace, so the last one is served."""
    monkeypatch.setattr(turns, "HURRIED_S", 1.0)
    at, told = Turns(1), list[str]()
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(taking, at, 40.0, told)
        await anyio.sleep(0.1)
        group.start_soon(taking, at, 0.0, told)
    assert (told, at.taken) == (["busy"] * 4 + ["read"], 0)


@jumping
async def test_a_turn_that_does_not_come_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`busy` after the wait, and the turn is still the other's."""
    monkeypatch.setattr(turns, "HURRIED_S", 9.0)
    at, told = Turns(1), list[str]()
    async with anyio.create_task_group() as group:
        group.start_soon(taking, at, 7.0, told)
        await anyio.sleep(0.1)
        group.start_soon(taking, at, 0.0, told)
    assert told == ["busy", "read"]


@jumping
async def test_an_error_in_a_turn_frees_it() -> None:
    """Whatever ends the block, the next has its turn."""
    at = Turns(1)
    with pytest.raises(KeyError):
        async with at.one():
            raise KeyError
    async with at.one():
        assert at.taken == 1
