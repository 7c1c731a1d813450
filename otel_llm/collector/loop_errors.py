"""What the event loop complains of, without filling the disk with it."""

import asyncio
from collections import Counter
from typing import Any

QUIET_S = 10.0
"""Errors of one kind are logged once in so long."""


class LoopErrors:
    """An exception handler of the event loop that logs the first error of a kind, and counts.

    With no file left to open, for example, asyncio reports each connection that it cannot accept.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an error, or count it."""
        kind = type(context.get("exception")).__name__
        if loop.time() < self._until.get(kind, 0.0):
            self._unsaid[kind] += 1
            return
        self._until[kind] = loop.time() + QUIET_S
        if unsaid := self._unsaid.pop(kind, 0):
            context = {**context, "message": f"{context['message']} (and {unsaid} {kind} before)"}
        loop.default_exception_handler(context)
