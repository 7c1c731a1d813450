"""The webhook: takes a message, asks the store for examples, passes it on."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otel_llm.clock import EpochNs
from otel_llm.errors import OtelLLMError
from otel_llm.query.recent import Filter
from otel_llm.relay.examples import Ask, Examples, examples, wanted
from otel_llm.relay.message import MOST_ALERTS, Message, slack_text, with_examples
from otel_llm.webhook import received

STORE_PATIENCE_S = 5.0
"""Longest time that a message waits for its examples."""
SEND_TIMEOUT_S = 10.0
_log = logging.getLogger(__name__)

Store = Callable[[], AbstractContextManager[Ask]]
"""Opens the store for the questions of one message."""


class Target:
    """Where messages go.

    Args:
        url: gets the message as JSON, as Alertmanager would send it; empty for none.
        slack_url: Slack's incoming webhook, which gets it as text; empty for none.
    """

    def __init__(self, url: str = "", slack_url: str = "") -> None:
        self._url, self._slack_url = url, slack_url

    async def send(self, body: bytes, client: httpx.AsyncClient) -> bool:
        """Send a message to all. Whether all took it."""
        sent = []
        if self._url:
            sent.append(await _post(client, self._url, body))
        if self._slack_url:
            text = msgspec.json.encode({"text": slack_text(body)})
            sent.append(await _post(client, self._slack_url, text))
        return all(sent)


class Relay:
    """Takes messages and passes them on with examples.

    Args:
        token: bearer token that a sender must have.
        store: who knows the calls.
        target: where to.
        transport: of httpx; the network if None.
    """

    def __init__(
        self,
        token: str,
        store: Store,
        target: Target,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._token, self._store, self._target = token, store, target
        self._transport = transport
        self.app = Starlette(routes=[Route("/relay", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        found = await received(request, self._token, Message)
        if isinstance(found, Response):
            return found
        body, message = found
        filled = with_examples(body, await self._found(message))
        async with httpx.AsyncClient(
            transport=self._transport, timeout=SEND_TIMEOUT_S, trust_env=False
        ) as client:
            taken = await self._target.send(filled, client)
        # Alertmanager sends a message again that was answered with 5xx.
        return Response(status_code=200 if taken else 502)

    async def _found(self, message: Message) -> dict[int, Examples | str]:
        now_ns = EpochNs(time.time_ns())
        asked = {
            number: of
            for number, alert in enumerate(message.alerts[:MOST_ALERTS])
            if alert.status == "firing" and (of := wanted(alert.labels, now_ns)) is not None
        }
        if not asked:
            return {}
        try:
            answers = await asyncio.wait_for(
                asyncio.to_thread(self._answers, list(asked.values())), STORE_PATIENCE_S
            )
        except (OtelLLMError, OSError, asyncio.TimeoutError) as error:
            _log.warning("no examples: %s", str(error) or "the store takes too long")
            return dict.fromkeys(asked, "the store did not answer")
        return {number: answers[of] for number, of in asked.items()}

    def _answers(self, filters: Sequence[Filter]) -> dict[Filter, Examples]:
        with self._store() as ask:
            return {of: examples(ask, of) for of in dict.fromkeys(filters)}


async def _post(client: httpx.AsyncClient, url: str, body: bytes) -> bool:
    try:
        answer = await client.post(url, content=body, headers={"content-type": "application/json"})
    except httpx.HTTPError as error:
        # The address may hold a secret, as Slack's does.
        _log.warning("a message was not taken: %s", type(error).__name__)
        return False
    if answer.status_code >= 300:
        _log.warning("a message was not taken: status %d", answer.status_code)
    return answer.status_code < 300
