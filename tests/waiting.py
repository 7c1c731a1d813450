"""Waiting for what must happen, without a guess at how long a busy machine takes for it."""

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 60.0
"""What has not happened by then never will, in seconds: any machine is quicker by far."""


def until(condition: Callable[[], object], limit_s: float = PATIENCE_S) -> None:
    """Poll until the condition holds; an AssertionError if it does not in `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not come true in {limit_s:g} s"
        time.sleep(0.01)


async def eventually(condition: Callable[[], object]) -> None:
    """`until`, while the event loop goes on."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not come true in {PATIENCE_S:g} s"
        await asyncio.sleep(0.005)
