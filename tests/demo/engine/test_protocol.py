"""Bodies: what is accepted, and errors that name the field."""

import json
from typing import Any

import pytest

from otel_llm.demo.engine.config import EngineConfig, SchedulerConfig
from otel_llm.demo.engine.errors import ApiError
from otel_llm.demo.engine.protocol import parse_chat, parse_completion
from otel_llm.demo.engine.tokenizer import encode, encode_chat

CONFIG = EngineConfig(model_name="m", scheduler=SchedulerConfig(max_model_len=64, max_waiting=8))
USER = {"role": "user", "content": "hi"}


def body(**fields: object) -> bytes:
    """A body for model `m`; a field given as `...` is left out."""
    whole = {"model": "m", **fields}
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("hi", [encode("hi")]),
        ([1, 2, 3], [[1, 2, 3]]),
        (["hi", "ho"], [encode("hi"), encode("ho")]),
        ([[1, 2], [3]], [[1, 2], [3]]),
        ("", [encode("")]),
    ],
)
def test_a_prompt_is_text_or_ids_or_a_list_of_them(
    prompt: object, expected: list[list[int]]
) -> None:
    """All four forms of the OpenAI API."""
    assert parse_completion(body(prompt=prompt), CONFIG).prompts == expected


def test_every_sampling_field_is_honoured() -> None:
    """Nothing that the body says is lost on the way to the sequence."""
    params = parse_completion(
        body(prompt="x", n=3, max_tokens=7, temperature=0.5, seed=9, stop="end", ignore_eos=False,
             stream=True, stream_options={"include_usage": True}),
        CONFIG,
    )  # fmt: skip
    sampling = params.sampling
    assert (params.n, params.stream, params.include_usage) == (3, True, True)
    assert (sampling.max_tokens, sampling.temperature, sampling.seed) == (7, 0.5, 9)
    assert (sampling.stop, sampling.ignore_eos) == (("end",), False)


def test_messages_become_one_prompt() -> None:
    """Text parts of a message are joined; both names of the token limit are known."""
    parts = [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]
    raw = body(messages=[{"role": "user", "content": parts}], max_completion_tokens=3)
    params = parse_chat(raw, CONFIG)
    assert params.prompts == [encode_chat([("user", "hi")])]
    assert params.sampling.max_tokens == 3


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ...}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [260]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [1, "x"]}, "prompt"),
        ({"prompt": [[[1]]]}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "x" * 60}, "prompt"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": 10**30}, "prompt"),
        ({"n": 0}, "n"),
        ({"n": 17}, "n"),
        ({"prompt": ["a", "b", "c"], "n": 3}, "n"),
        ({"temperature": -0.1}, "temperature"),
        ({"stop": ["a", ""]}, "stop"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options"),
        ({"model": ...}, "model"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str) -> None:
    """400, with the field in `param`, and no text of the prompt in the message."""
    with pytest.raises(ApiError) as caught:
        parse_completion(body(**{"prompt": "x", **fields}), CONFIG)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"content": "no role"}],
        [{"role": "user", "content": [{"type": "image_url"}]}],
        [{"role": "user", "content": "x" * 60}],
        "hi",
    ],
)
def test_wrong_messages_are_named(messages: object) -> None:
    """400 for `messages` or the field inside of it."""
    with pytest.raises(ApiError) as caught:
        parse_chat(body(messages=messages), CONFIG)
    assert caught.value.status == 400
    assert caught.value.param == "messages"


def test_an_unknown_model_is_not_found() -> None:
    """404, as OpenAI answers."""
    with pytest.raises(ApiError, match="'m'") as caught:
        parse_chat(body(model="other", messages=[USER]), CONFIG)
    assert (caught.value.status, caught.value.param) == (404, "model")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'{"model": "m", "prompt": "\xff"}',
        b'{"model": "m", "prompt": "\\ud800"}',
        b'{"model": "m", "prompt": "a", "other": ' + b"[" * 100_000,
        b'{"model": "m", "prompt": [1e999]}',
    ],
)
def test_garbage_is_a_client_error(raw: bytes) -> None:
    """Truncated, deep, wrong or not UTF-8: 400, never a crash."""
    with pytest.raises(ApiError) as caught:
        parse_completion(raw, CONFIG)
    assert caught.value.status == 400
