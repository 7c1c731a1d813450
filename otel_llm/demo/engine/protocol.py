"""Request bodies: parsed, checked, and turned into prompts and sampling parameters.

Fields of the OpenAI API that this engine does not have are ignored.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from otel_llm.demo.engine import tokenizer
from otel_llm.demo.engine.config import EngineConfig
from otel_llm.demo.engine.errors import ApiError
from otel_llm.demo.engine.sequence import Sampling

DEFAULT_MAX_TOKENS = 16
MAX_SAMPLES = 16


class StreamOptions(msgspec.Struct):
    """OpenAI's `stream_options`."""

    include_usage: bool = False


class Body(msgspec.Struct, kw_only=True):
    """Fields that both endpoints share."""

    model: str
    n: Annotated[int, Meta(ge=1, le=MAX_SAMPLES)] = 1
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] = 1.0
    seed: int | None = None
    stop: str | list[str] | None = None
    ignore_eos: bool = True
    stream: bool = False
    stream_options: StreamOptions | None = None


class CompletionBody(Body, kw_only=True):
    """Body of `/v1/completions`. A prompt is a text, token ids, or a list of either."""

    prompt: str | list[int | str | list[int]]


class ContentPart(msgspec.Struct):
    """A part of a message; parts other than text are refused."""

    type: str
    text: str | None = None


class Message(msgspec.Struct):
    """One message of a conversation."""

    role: str
    content: str | list[ContentPart] | None = None


class ChatBody(Body, kw_only=True):
    """Body of `/v1/chat/completions`."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None


@dataclass(frozen=True)
class Params:
    """What a call asks for.

    Attributes:
        model: the model.
        prompts: token ids of each prompt.
        n: samples of each prompt.
        sampling: how each sample is generated.
        stream: answer as server-sent events.
        include_usage: end the stream with a chunk that has the usage.
    """

    model: str
    prompts: list[list[int]]
    n: int
    sampling: Sampling
    stream: bool
    include_usage: bool


BodyT = TypeVar("BodyT", bound=Body)


def parse_completion(raw: bytes, config: EngineConfig) -> Params:
    """Read a body of `/v1/completions`.

    Raises:
        ApiError: 400 or 404, naming the field.
    """
    body = _decode(raw, CompletionBody)
    prompts = _prompts(body.prompt)
    return _params(body, prompts, body.max_tokens, config, "prompt")


def parse_chat(raw: bytes, config: EngineConfig) -> Params:
    """Read a body of `/v1/chat/completions`.

    Raises:
        ApiError: 400 or 404, naming the field.
    """
    body = _decode(raw, ChatBody)
    prompt = tokenizer.encode_chat((each.role, _text(each)) for each in body.messages)
    max_tokens = body.max_completion_tokens or body.max_tokens
    return _params(body, [prompt], max_tokens, config, "messages")


def _decode(raw: bytes, kind: type[BodyT]) -> BodyT:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        message = str(error)
        found = re.search(r"\$\.(\w+)", message) or re.search(r"field `(\w+)`", message)
        raise ApiError(400, message, found and found[1]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"The body is not JSON in UTF-8: {type(error).__name__}"
        raise ApiError(400, message) from None


def _prompts(prompt: str | list[Any]) -> list[list[int]]:
    if isinstance(prompt, str):
        return [tokenizer.encode(prompt)]
    if prompt and all(isinstance(each, int) for each in prompt):
        return [_checked_ids(prompt)]
    if prompt and not any(isinstance(each, int) for each in prompt):
        return [
            tokenizer.encode(each) if isinstance(each, str) else _checked_ids(each)
            for each in prompt
        ]
    message = "prompt must be a text, token ids, or a list of these, and not empty"
    raise ApiError(400, message, "prompt")


def _checked_ids(tokens: list[int]) -> list[int]:
    if not tokens or min(tokens) < 0 or max(tokens) >= tokenizer.VOCAB_SIZE:
        message = f"prompt must have token ids from 0 to {tokenizer.VOCAB_SIZE - 1}, at least one"
        raise ApiError(400, message, "prompt")
    return tokens


def _text(message: Message) -> str:
    if isinstance(message.content, list):
        if any(part.type != "text" or part.text is None for part in message.content):
            problem = "messages must have content parts of type text with a text"
            raise ApiError(400, problem, "messages")
        return "".join(part.text or "" for part in message.content)
    return message.content or ""


def _params(
    body: Body,
    prompts: list[list[int]],
    max_tokens: int | None,
    config: EngineConfig,
    field: str,
) -> Params:
    """Check a body against the engine's limits; `field` is the one that holds the prompt."""
    if body.model != config.model_name:
        message = f"model must be {config.model_name!r}, the only one served here"
        raise ApiError(404, message, "model", "model_not_found")
    _check_samples(len(prompts) * body.n, config)
    max_tokens = max_tokens or DEFAULT_MAX_TOKENS
    _check_length(max(map(len, prompts)), max_tokens, config, field)
    sampling = Sampling(
        max_tokens, body.temperature, body.seed, body.ignore_eos, _stop_texts(body.stop)
    )
    options = body.stream_options or StreamOptions()
    return Params(body.model, prompts, body.n, sampling, body.stream, options.include_usage)


def _check_samples(samples: int, config: EngineConfig) -> None:
    most = min(MAX_SAMPLES, config.scheduler.max_waiting)
    if samples > most:
        message = f"n times the number of prompts is {samples}: at most {most}"
        raise ApiError(400, message, "n")


def _check_length(prompt: int, max_tokens: int, config: EngineConfig, field: str) -> None:
    most = config.scheduler.max_model_len
    if prompt + max_tokens > most:
        message = (
            f"{field} has {prompt} tokens and max_tokens is {max_tokens}: "
            f"together at most {most}. Shorten either."
        )
        raise ApiError(400, message, field, "context_length_exceeded")


def _stop_texts(stop: str | list[str] | None) -> tuple[str, ...]:
    texts = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if not all(texts) or len(texts) > 4:
        message = "stop must be one to four texts, none of them empty"
        raise ApiError(400, message, "stop")
    return texts
