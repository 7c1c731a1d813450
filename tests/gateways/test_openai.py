"""Names, counts and content are read out of OpenAI's bodies; nothing malformed raises."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.gateways.openai import (
    MAX_COUNT,
    Asked,
    Usage,
    operation_of,
    read_event,
    read_request,
    read_response,
    read_usage,
)


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"model": "m", "stream": True, "n": 4, "messages": []}, Asked("m", True, 4)),
        ({"model": "m"}, Asked("m", False, None)),
        ({"model": 7, "stream": "yes", "n": "4"}, Asked(None, False, None)),
        ({"n": -1}, Asked()),
        ({"n": True}, Asked()),
        ({"n": 70_000}, Asked()),
        ({"model": "x" * 1000}, Asked("x" * 256)),
    ],
)
def test_request(body: dict[str, Any], asked: Asked) -> None:
    """Model, stream and n are read; a value of the wrong kind counts as absent."""
    assert read_request(json.dumps(body).encode()) == asked


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff", b'{"model": "\xff"}', b"nan"])
def test_request_that_is_no_object(body: bytes) -> None:
    """What is no JSON object is None."""
    assert read_request(body) is None


def test_deep_nesting_does_not_raise() -> None:
    """Nesting past the decoder's depth is None or skipped, never an error."""
    for reader in (read_request, read_event, read_response):
        reader(b'{"usage":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@given(st.binary(max_size=200))
def test_noise_never_raises(noise: bytes) -> None:
    """Any bytes are either read or refused."""
    for reader in (read_request, read_event, read_response):
        reader(noise)


@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_names_can_be_stored(name: str) -> None:
    """A name that is read can be encoded, so that its fact can be written."""
    body = json.dumps({"model": name, "id": name}).encode()
    asked, answer = read_request(body), read_event(body)
    if asked is not None and asked.model is not None:
        asked.model.encode()
    if answer is not None and isinstance(answer.id, str):
        answer.id.encode()


def _delta(**delta: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta}]}


@pytest.mark.parametrize(
    ("event", "content"),
    [
        (_delta(role="assistant", content=""), False),
        (_delta(role="assistant"), False),
        (_delta(content="x"), True),
        (_delta(content=None, reasoning_content="hm"), True),
        (_delta(tool_calls=[{"index": 0, "function": {"arguments": "{"}}]), True),
        (_delta(tool_calls=[]), False),
        ({"choices": [{"text": "x"}]}, True),
        ({"choices": [{"text": ""}, {"text": "y"}]}, True),
        ({"choices": [{"text": "", "finish_reason": "stop"}]}, False),
        ({"choices": [], "usage": {"prompt_tokens": 1}}, False),
        ({"choices": None}, False),
        ({}, False),
    ],
)
def test_event_content(event: dict[str, Any], content: bool) -> None:
    """An event has content if a delta or text for the caller is not empty."""
    answer = read_event(json.dumps(event).encode())
    assert answer is not None
    assert answer.has_content() is content


def test_event_error_and_id() -> None:
    """An error object and the id are told; `error: null` is no error."""
    answer = read_event(b'{"id": "c-1", "error": {"message": "no"}}')
    assert answer is not None
    assert (answer.id, answer.error) == ("c-1", {"message": "no"})
    fine = read_event(b'{"error": null}')
    assert fine is not None
    assert fine.error is None


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, Usage(5, None, 2)),
        (
            {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3}},
            Usage(5, 3, None),
        ),
        ({"prompt_tokens": 5, "prompt_tokens_details": None}, Usage(5, None, None)),
        ({"prompt_tokens": 0, "completion_tokens": MAX_COUNT}, Usage(0, None, MAX_COUNT)),
        ({"prompt_tokens": -1}, None),
        ({"prompt_tokens": MAX_COUNT + 1}, None),
        ({"prompt_tokens": 10**30}, None),
        ({"prompt_tokens": "5"}, None),
        ({"completion_tokens": 1.5}, None),
        ({"completion_tokens": True}, None),
        ("many", None),
        ({}, Usage()),
    ],
)
def test_usage(usage: object, expected: Usage | None) -> None:
    """Counts are read; a count that is none refuses the whole object."""
    assert read_usage(usage) == expected


@pytest.mark.parametrize(
    ("route", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/openai/v1/completions", "text_completion"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/models", ""),
        ("", ""),
    ],
)
def test_operation(route: str, operation: str) -> None:
    """The end of a route names the operation."""
    assert operation_of(route) == operation
