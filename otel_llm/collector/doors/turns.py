"""Turns to read a body: few at once, and no one keeps a turn from others without using it."""

import contextlib
from collections.abc import AsyncIterator

import anyio

from otel_llm.collector.doors.refusal import Refusal

READ_TIMEOUT_S = 30.0
"""A sender may take this long for its body."""

HURRIED_S = 2.0
"""It may take this long while others wait for its turn."""

WAIT_S = 5.0
"""A request may wait this long for its turn."""


class Turns:
    """So many bodies are read at once.

    gRPC does not tell when the first byte of a body comes, so a call that sends none has a turn as
    well. Whoever waits therefore hurries the reader that has had its turn longest.

    Args:
        number: how many.

    """

    def __init__(self, number: int) -> None:
        self._places = anyio.CapacityLimiter(number)
        self._unhurried: dict[anyio.CancelScope, float] = {}  # by when their turn began

    @property
    def taken(self) -> int:
        """Turns that are taken."""
        return int(self._places.borrowed_tokens)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn; it lasts for the length of the block.

        Raises:
            Refusal: it does not come, or the block took too long.
        """
        await self._acquire()
        began = anyio.current_time()
        scope = anyio.CancelScope(deadline=began + READ_TIMEOUT_S)
        self._unhurried[scope] = began
        self._hurry(self._places.statistics().tasks_waiting)
        try:
            with scope:
                yield
        finally:
            was_hurried = self._unhurried.pop(scope, None) is None
            self._places.release()
        if scope.cancelled_caught:
            raise _hurried() if was_hurried else _late()

    async def _acquire(self) -> None:
        statistics = self._places.statistics()
        if statistics.borrowed_tokens >= statistics.total_tokens:
            self._hurry(statistics.tasks_waiting + 1)
        try:
            with anyio.fail_after(WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise Refusal("busy", "Too many bodies are being received just now") from None

    def _hurry(self, waiting: int) -> None:
        """Let as many readers have little time left as others wait; those that began first."""
        while self._unhurried and waiting > self.taken - len(self._unhurried):
            scope = next(iter(self._unhurried))
            scope.deadline = min(scope.deadline, self._unhurried.pop(scope) + HURRIED_S)


def _late() -> Refusal:
    return Refusal("incomplete", f"The body did not arrive within {READ_TIMEOUT_S:g} s")


def _hurried() -> Refusal:
    message = f"The body did not arrive within {HURRIED_S:g} s while others waited"
    return Refusal("busy", message)
