"""One call on its way to an upstream and back: tries, retries, and the stream of the answer."""

import asyncio
import random
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import httpx
from starlette.types import Receive, Send

from otel_llm.demo.gateway import replies
from otel_llm.demo.gateway.answer import Answer
from otel_llm.demo.gateway.balancer import Balancer, Upstream
from otel_llm.demo.gateway.breaker import Trial
from otel_llm.gateways import Call, UpstreamAttempt

RETRYABLE = frozenset({429, 502, 503})


@dataclass(frozen=True)
class RetryPolicy:
    """How often to try, and how long to wait between tries.

    Attributes:
        attempts: most tries of one call.
        base_s: longest wait before the second try, in seconds; doubles with each further one.
        cap_s: longest wait of all, in seconds.
    """

    attempts: int = 3
    base_s: float = 0.05
    cap_s: float = 0.5

    def wait_s(self, failed: int, rng: random.Random) -> float:
        """Wait after so many failed tries: anything up to the limit, so that callers spread."""
        return rng.uniform(0.0, min(self.cap_s, self.base_s * 2 ** (failed - 1)))


class Outgoing(NamedTuple):
    """What is sent to an upstream: method, path with query, headers, body."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class _Failure(NamedTuple):
    """A try that brought no answer: what to tell the caller, and whether another try may help."""

    status: int
    code: str
    again: bool


_MESSAGES = {
    "breaker_open": "No engine takes calls now.",
    "timeout": "The engine did not answer in time.",
    "upstream_connect": "The engine cannot be reached.",
    "upstream_disconnect": "The engine closed the connection.",
}


class Relay:
    """Forwards calls.

    Args:
        client: HTTP client of all upstreams, with its timeouts.
        balancer: picks upstreams.
        policy: of retries.
        rng: source of jitter.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        balancer: Balancer,
        policy: RetryPolicy,
        rng: random.Random,
    ) -> None:
        self._client = client
        self._balancer = balancer
        self._policy = policy
        self._rng = rng

    async def forward(self, call: Call, outgoing: Outgoing, send: Send) -> None:
        """Try upstreams until one answers, and pass its answer on as it comes.

        Raises:
            httpx.HTTPError: the upstream was lost in the middle of an answer that is no stream.
        """
        answer = Answer(send)
        tried: list[Upstream] = []
        failure = _Failure(503, "breaker_open", again=True)
        while failure.again and len(tried) < self._policy.attempts:
            wait_s = self._policy.wait_s(len(tried), self._rng) if tried else 0.0
            if tried:
                await asyncio.sleep(wait_s)
            upstream = self._balancer.pick(tried)
            if upstream is None:
                break
            tried.append(upstream)
            with upstream.serving() as trial:
                attempt = call.attempt(
                    upstream.name, backoff_ns=int(wait_s * 1e9), breaker=trial.state
                )
                last = len(tried) == self._policy.attempts
                result = await self._try(upstream, outgoing, _Try(attempt, trial, last), answer)
            if result is None:
                return
            failure = result
        if not tried:
            call.shed("breaker_open")
        message = _MESSAGES.get(failure.code, "The engine refused the call.")
        await answer.whole(replies.error(failure.status, message, failure.code))

    async def _try(
        self, upstream: Upstream, outgoing: Outgoing, this: "_Try", answer: Answer
    ) -> _Failure | None:
        """One try. None once the caller has an answer."""
        failure = None
        async with this.attempt as attempt:
            try:
                failure = await self._exchange(upstream, outgoing, this, answer)
            except httpx.HTTPError as error:
                this.trial.failed()
                failure = _failure_of(error)
                attempt.failed(failure.code)
                if answer.started and not answer.is_stream:
                    raise
        # The last byte goes out after the attempt has ended: a call contains its attempts.
        if not answer.started:
            return failure
        if failure is not None:
            await answer.part(replies.error_event(_MESSAGES[failure.code], failure.code))
        await answer.part(b"", more=False)
        return None

    async def _exchange(
        self, upstream: Upstream, outgoing: Outgoing, this: "_Try", answer: Answer
    ) -> _Failure | None:
        async with self._client.stream(
            outgoing.method,
            upstream.url + outgoing.target,
            headers=this.attempt.headers(outgoing.headers),
            content=outgoing.body,
        ) as response:
            status = response.status_code
            this.attempt.responded(status)
            this.judge(status)
            if status in RETRYABLE and not this.last:
                return _Failure(status, f"http_{status}", again=True)
            await answer.start(response)
            async for part in response.aiter_raw():
                this.attempt.first_byte()
                await answer.part(part)
        return None


class _Try(NamedTuple):
    """One try: what records it, what its breaker learns, and whether it is the last."""

    attempt: UpstreamAttempt
    trial: Trial
    last: bool

    def judge(self, status: int) -> None:
        """Tell the breaker. An upstream that sheds is busy, not broken: no verdict."""
        if status >= 500:
            self.trial.failed()
        elif status != 429:
            self.trial.succeeded()


def _failure_of(error: httpx.HTTPError) -> _Failure:
    """A generation has no effect but its answer, so a try that brought none may be repeated."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return _Failure(502, "upstream_connect", again=True)
    if isinstance(error, httpx.TimeoutException):
        return _Failure(504, "timeout", again=False)
    return _Failure(502, "upstream_disconnect", again=True)


async def unless_disconnected(receive: Receive, work: Awaitable[None]) -> None:
    """Do the work, and cancel it when the caller leaves. The request's body has been received.

    Raises:
        Exception: whatever the work raises.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
    if not working.cancelled():
        working.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
