"""Callers of a drill: a steady trickle, and more on demand."""

import asyncio
import contextlib
import itertools
import threading
from typing import NamedTuple

import httpx

WORDS = "the queue batch step token cache kernel watt trace span prefill decode tenant call "


class Caller(NamedTuple):
    """Who calls, how often and for what.

    Attributes:
        tenant: its tag.
        rate: calls per second.
        prompt: tokens (characters) of the prompt.
        output: tokens to make; 0 asks for something that is refused.
    """

    tenant: str
    rate: float
    prompt: int = 60
    output: int = 12


STEADY = (Caller("acme", 2.0), Caller("globex", 1.0))


class Load:
    """Calls of some callers, in a thread of its own, until it is stopped.

    Args:
        url: the gateway.
        model: to ask for.
        callers: who calls.
    """

    def __init__(self, url: str, model: str, callers: tuple[Caller, ...]) -> None:
        self._url, self._model = url, model
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, args=(callers,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send no more calls, give up those in flight, and wait."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def _serve(self, callers: tuple[Caller, ...]) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._run(callers))

    async def _run(self, callers: tuple[Caller, ...]) -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=self._url, timeout=90.0, limits=limits) as client:
            tasks = [asyncio.create_task(self._calls(client, one)) for one in callers]
            # No thread waits: one that is never told would keep the interpreter from ending.
            await self._stop.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _calls(self, client: httpx.AsyncClient, caller: Caller) -> None:
        open_calls: set[asyncio.Task[None]] = set()
        try:
            for number in itertools.count():
                task = asyncio.create_task(self._call(client, caller, number))
                open_calls.add(task)
                task.add_done_callback(open_calls.discard)
                await asyncio.sleep(1 / caller.rate)
        finally:
            for task in list(open_calls):
                task.cancel()
            await asyncio.gather(*open_calls, return_exceptions=True)

    async def _call(self, client: httpx.AsyncClient, caller: Caller, number: int) -> None:
        prompt = f"{number} {WORDS * (1 + caller.prompt // len(WORDS))}"[: caller.prompt]
        body = {
            "model": self._model, "prompt": prompt, "max_tokens": caller.output or -1,
            "stream": True, "ignore_eos": True,
        }  # fmt: skip
        tier = "gold" if caller.tenant == "acme" else "standard"
        headers = {"x-otel-llm-tenant": caller.tenant, "x-otel-llm-tier": tier}
        try:
            async with client.stream(
                "POST", "/v1/completions", json=body, headers=headers
            ) as response:
                async for _ in response.aiter_bytes():
                    pass
        except httpx.HTTPError:
            return  # a caller of a broken stack; the gateway counts it
