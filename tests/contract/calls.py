"""Callers of an engine under test: they ask, stream, and leave before the end."""

import http.client
import json
import random
import secrets
import string
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import httpx

from tests.contract.engines import Site

TIMEOUT_S = 100.0
TRACESTATE = "otelllm=t:acme,other=1"
Endpoint = Literal["chat/completions", "completions"]
ENDPOINTS: tuple[Endpoint, ...] = ("chat/completions", "completions")
OPERATIONS = {"chat/completions": "chat", "completions": "text_completion"}


def text(length: int) -> str:
    """A prompt that nobody has sent before; a character is a token."""
    return "".join(random.choices(string.ascii_letters, k=length))


def traceparent() -> str:
    """A W3C header of its own for each call, by which its facts are found."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


class Call(NamedTuple):
    """What a caller asks for.

    Attributes:
        endpoint: where.
        prompt: a text; at `completions` a list of them too.
        max_tokens: exactly so many come, because nothing else ends a reply.
        n: samples of each prompt.
        stream: as server-sent events.
        headers: sent along.
        extra: further fields of the body.
    """

    endpoint: Endpoint = "completions"
    prompt: str | list[str] = ""
    max_tokens: int = 8
    n: int = 1
    stream: bool = False
    headers: Mapping[str, str] = {}
    extra: Mapping[str, Any] = {}

    def body(self, model: str) -> dict[str, Any]:
        """The body to be sent."""
        body: dict[str, Any] = {
            "model": model, "max_tokens": self.max_tokens, "n": self.n, "ignore_eos": True,
        }  # fmt: skip
        if self.endpoint == "completions":
            body["prompt"] = self.prompt
        else:
            body["messages"] = [{"role": "user", "content": self.prompt}]
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return {**body, **self.extra}


class Answer(NamedTuple):
    """What the caller got.

    Attributes:
        status: HTTP status.
        id: id of the API call, as its caller sees it; empty on an error.
        finish_reasons: by index of the choice.
        usage: the engine's own count of tokens.
    """

    status: int
    id: str
    finish_reasons: dict[int, str]
    usage: dict[str, Any]


def ask(site: Site, call: Call) -> Answer:
    """Send a call and read the answer to its end."""
    response = httpx.post(
        f"{site.base_url}/v1/{call.endpoint}",
        json=call.body(site.engine.model),
        headers=dict(call.headers),
        timeout=TIMEOUT_S,
    )
    if response.status_code != 200:
        return Answer(response.status_code, "", {}, {})
    parts = _events(response.text) if call.stream else [response.json()]
    [call_id] = {part["id"] for part in parts}
    reasons = {
        choice["index"]: choice["finish_reason"]
        for part in parts
        for choice in part["choices"]
        if choice["finish_reason"] is not None
    }
    return Answer(response.status_code, call_id, reasons, parts[-1]["usage"])


class Leaver:
    """A caller that sends a call and can leave at any moment.

    Attributes:
        traceparent: the header it sends, its own.
    """

    def __init__(self, site: Site, call: Call) -> None:
        host = urlsplit(site.base_url).netloc
        self.traceparent = traceparent()
        self._connection = http.client.HTTPConnection(host, timeout=TIMEOUT_S)
        self._connection.request(
            "POST",
            f"/v1/{call.endpoint}",
            json.dumps(call.body(site.engine.model)),
            {
                "content-type": "application/json",
                **call.headers,
                "traceparent": self.traceparent,
            },
        )

    def read(self, size: int) -> None:
        """Wait for so many bytes of the answer; 0 waits for nothing."""
        if size:
            self._connection.getresponse().read(size)

    def leave(self) -> None:
        """Close the connection."""
        self._connection.close()


def _events(stream: str) -> list[dict[str, Any]]:
    frames = [line.removeprefix("data: ") for line in stream.splitlines() if line]
    assert frames[-1] == "[DONE]", frames[-1]
    return [json.loads(frame) for frame in frames[:-1]]
