"""Response bodies of the two endpoints, in OpenAI's shape."""

import time
from collections.abc import Callable
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from typing import Any

from otel_llm.demo.engine.call import Call
from otel_llm.demo.engine.config import EngineConfig
from otel_llm.demo.engine.protocol import Params, parse_chat, parse_completion

Json = dict[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """What sets the two endpoints apart.

    Attributes:
        operation: `gen_ai.operation.name`.
        id_prefix: start of a call's id.
        object_name: `object` of a full response.
        chunk_name: `object` of a streamed chunk.
        parse: reads the body.
        choice: a full choice of (index, text, finish reason).
        opening: a chunk's choice of (index) sent before its text; None for none.
        delta: a chunk's choice of (index, text, finish reason).
    """

    operation: str
    id_prefix: str
    object_name: str
    chunk_name: str
    parse: Callable[[bytes, EngineConfig], Params]
    choice: Callable[[int, str, str | None], Json]
    opening: Callable[[int], Json] | None
    delta: Callable[[int, str, str | None], Json]

    def envelope(self, call: Call, choices: Seq[Json], *, chunk: bool) -> Json:
        """A response or chunk around its choices."""
        return {
            "id": call.id,
            "object": self.chunk_name if chunk else self.object_name,
            "created": int(time.time()),
            "model": call.model,
            "choices": choices,
        }


def usage(call: Call, samples_per_prompt: int) -> Json:
    """Token counts of a call. A prompt counts once, however many samples it has."""
    firsts = call.sequences[::samples_per_prompt]
    prompt = sum(each.prompt_tokens for each in firsts)
    completion = sum(each.output_tokens for each in call.sequences)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": sum(each.cached or 0 for each in firsts)},
    }


def _text_choice(index: int, text: str, finish_reason: str | None) -> Json:
    return {"index": index, "text": text, "finish_reason": finish_reason, "logprobs": None}


def _message_choice(index: int, text: str, finish_reason: str | None) -> Json:
    message = {"role": "assistant", "content": text}
    return {"index": index, "message": message, "finish_reason": finish_reason, "logprobs": None}


def _role_delta(index: int) -> Json:
    delta = {"role": "assistant", "content": ""}
    return {"index": index, "delta": delta, "finish_reason": None}


def _content_delta(index: int, text: str, finish_reason: str | None) -> Json:
    return {"index": index, "delta": {"content": text}, "finish_reason": finish_reason}


COMPLETIONS = Endpoint(
    operation="text_completion",
    id_prefix="cmpl",
    object_name="text_completion",
    chunk_name="text_completion",
    parse=parse_completion,
    choice=_text_choice,
    opening=None,
    delta=_text_choice,
)
CHAT = Endpoint(
    operation="chat",
    id_prefix="chatcmpl",
    object_name="chat.completion",
    chunk_name="chat.completion.chunk",
    parse=parse_chat,
    choice=_message_choice,
    opening=_role_delta,
    delta=_content_delta,
)
