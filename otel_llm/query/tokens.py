"""Tokens of a call: from its `usage` if it carried one, else from the engine's requests."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from otel_llm.query.rows import Call, Request


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one call.

    Attributes:
        source: `usage` is the response's own count, `engine` the sum over its requests, `none`
            that neither is known.
        prompt: tokens of the prompts, each counted once however many samples it had.
        cached: of these, served from the prefix cache.
        output: tokens generated.
    """

    source: Literal["usage", "engine", "none"]
    prompt: int | None = None
    cached: int | None = None
    output: int | None = None


def call_tokens(call: Call | None, serving: Sequence[Request]) -> Tokens:
    """Count a call's tokens.

    Args:
        call: the caller's view; None if unknown.
        serving: requests of the attempt that served it.
    """
    if call is not None and call.prompt_tokens is not None:
        return Tokens(
            source="usage",
            prompt=call.prompt_tokens,
            cached=call.cached_tokens,
            output=call.output_tokens,
        )
    if not serving:
        return Tokens(source="none")
    first_samples = [one for one in serving if one.sample_index == 0] or list(serving[:1])
    return Tokens(
        source="engine",
        prompt=sum(one.prompt_tokens for one in first_samples),
        cached=sum(one.cached_tokens for one in first_samples),
        output=sum(one.output_tokens for one in serving),
    )
