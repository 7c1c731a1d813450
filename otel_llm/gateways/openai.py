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


class Answer(NamedTuple):
    """What one event of a stream, or a whole response, says.

    Attributes:
        content: it carries text, reasoning or a tool call for the caller.
        usage: the raw `usage` object; None without one.
        response_id: the API's id.
        error: it reports an error.
    """

    content: bool = False
    usage: object = None
    response_id: str | None = None
    error: bool = False


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    n: Any = None


class _Delta(msgspec.Struct):
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


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: Any = None


class _Event(msgspec.Struct):
    id: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None


class _Response(msgspec.Struct):
    id: Any = None
    usage: Any = None
    error: Any = None


_request = msgspec.json.Decoder(_Request)
_event = msgspec.json.Decoder(_Event)
_response = msgspec.json.Decoder(_Response)


def operation_of(route: str) -> str:
    """`gen_ai.operation.name` of a route; empty where it has none."""
    return next((name for end, name in OPERATIONS.items() if route.endswith(end)), "")


def read_request(body: bytes) -> Asked | None:
    """Model, stream and n of a request's body. None if it is not a JSON object."""
    try:
        asked = _request.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Asked(_name(asked.model), asked.stream is True, _count(asked.n, 65535))


def read_event(data: bytes) -> Answer | None:
    """What an event's data says. None if it is not a JSON object of the known shape."""
    try:
        event = _event.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    content = any(
        choice.text or (choice.delta is not None and choice.delta.has_content())
        for choice in event.choices or ()
    )
    return Answer(content, event.usage, _name(event.id), event.error is not None)


def read_response(body: bytes) -> Answer | None:
    """What a whole response says. None if it is not a JSON object."""
    try:
        response = _response.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Answer(False, response.usage, _name(response.id), response.error is not None)


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


def _name(value: object) -> str | None:
    return value[:MAX_NAME_CHARS] if isinstance(value, str) else None
