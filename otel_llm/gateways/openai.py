"""What the middleware reads in OpenAI's bodies: who is asked for what, content, usage, errors.

Prompts and completions are skipped by the decoder, never kept. Pure functions of bytes.
Source: OpenAI API reference, "Create chat completion", "Create completion".
"""

from typing import Any, NamedTuple

import msgspec

OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
"""`gen_ai.operation.name` by the end of a route."""

DONE = b"[DONE]"
MAX_NAME_CHARS = 256
MAX_COUNT = 2**32 - 1


class Asked(NamedTuple):
    """What a request's body asks for; None where it does not say."""

    model: str | None = None
    stream: bool = False
    samples: int | None = None


class Usage(NamedTuple):
    """Token counts of a response; None where it gives none, or not a count."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    n: Any = None


class _Delta(msgspec.Struct, gc=False):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None

    def has_content(self) -> bool:
        return bool(
            self.content
            or self.tool_calls
            or self.reasoning_content
            or self.reasoning
            or self.refusal
            or self.function_call
        )


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    text: Any = None


class Event(msgspec.Struct, gc=False):
    """What one event of a stream says, or a whole response without its choices.

    Attributes:
        id: the API's id, if it is a string.
        choices: what it has for the caller.
        usage: the raw `usage` object; None without one.
        error: the error it reports; None if it reports none.
    """

    id: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None

    def has_content(self) -> bool:
        """Whether it carries text, reasoning or a tool call for the caller."""
        for choice in self.choices or ():
            if choice.text or (choice.delta is not None and choice.delta.has_content()):
                return True
        return False


class Response(msgspec.Struct):
    """What a whole response says beside its choices. Attributes as of `Event`."""

    id: Any = None
    usage: Any = None
    error: Any = None


_request = msgspec.json.Decoder(_Request)
_event = msgspec.json.Decoder(Event)
_response = msgspec.json.Decoder(Response)


def operation_of(route: str) -> str:
    """`gen_ai.operation.name` of a route; empty where it has none."""
    return next((name for end, name in OPERATIONS.items() if route.endswith(end)), "")


def read_request(body: bytes) -> Asked | None:
    """Model, stream and n of a request's body. None if it is not a JSON object."""
    try:
        asked = _request.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Asked(read_name(asked.model), asked.stream is True, _count(asked.n, 65535))


def read_event(data: bytes) -> Event | None:
    """What an event's data says. None if it is not a JSON object of the known shape."""
    try:
        return _event.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_response(body: bytes) -> Response | None:
    """What a whole response says. None if it is not a JSON object."""
    try:
        return _response.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_usage(usage: object) -> Usage | None:
    """Token counts of a `usage` object. None if one of them is no count."""
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    given = (usage.get("prompt_tokens"), cached, usage.get("completion_tokens"))
    counts = [_count(value, MAX_COUNT) for value in given]
    if any(value is not None and count is None for value, count in zip(given, counts, strict=True)):
        return None
    return Usage(*counts)


def _count(value: object, most: int) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    return None


def read_name(value: object) -> str | None:
    """A name of bounded length. None if it is no string."""
    return value[:MAX_NAME_CHARS] if isinstance(value, str) else None
