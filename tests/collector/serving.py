"""Serve an embedded stack in a thread of the test's process."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from otel_llm.collector.stack import Stack
from otel_llm.settings import Settings
from tests.waiting import PATIENCE_S


@contextlib.contextmanager
def serving(settings: Settings) -> Iterator[Stack]:
    """A stack that answers for the length of the block."""
    stack = Stack(settings)
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(stack.serve(lambda _run: ready.set()))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(PATIENCE_S), "the stack did not become ready"
    try:
        yield stack
    finally:
        loop.call_soon_threadsafe(stack.stop)
        thread.join(PATIENCE_S)
        stack.close()
