"""From vLLM's request ids back to the call: the id its caller sees, and its operation.

vLLM makes the id of a sequence out of the call's id and the place of the sequence in the call, for
example `cmpl-X-1` for the second prompt of call `cmpl-X`. A caller may choose X freely, so the text
alone can mislead (`chatcmpl-a_0` is the call `a_0`, or the first conversation of a batch `a`). A
hook in the serving classes therefore notes X while the call is being served (`Call`); the text is
only the fallback.

The API server tells the engine core what it found in a member of `trace_headers` (`Origin`).
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

MEMBER = "otelllm"
"""Our key in an `EngineCoreRequest`'s `trace_headers`."""


class Kind(NamedTuple):
    """How one kind of call names its sequences: `prefix` + base + a part.

    Attributes:
        prefix: how the ids begin.
        operation: `gen_ai.operation.name`, or our own word where that has none.
        part: pattern of what follows the call's id.
        always: every sequence has a part, so that the text alone tells it.
        beams: the kind has beam search.
        api_prefix: how the call's id begins, where that differs.
    """

    prefix: str
    operation: str
    part: str
    always: bool = True
    beams: bool = False
    api_prefix: str = ""


class Call(NamedTuple):
    """What is known of an API call where its sequences are made.

    Attributes:
        base: the id that was chosen for it, without vLLM's prefix; None if none was noted.
        path: path of its URL.
        kind: how it names its sequences, where the serving class has no base.
        api_request_id: the whole id, where it is known; then no text is read.
        operation: its operation, where the ids do not tell.
    """

    base: str | None = None
    path: str = ""
    kind: Kind | None = None
    api_request_id: str = ""
    operation: str = ""


_HEX = "[0-9a-f]{16}"
_BEAM = re.compile(rf"-{_HEX}-beam-(\d{{1,6}})$")
RESPONSES = Call(kind=Kind("", "chat", r"_\d+"))
"""A call of the Responses API, whose caller may choose the whole id."""

KINDS = (
    Kind("chatcmpl-", "chat", r"(_\d+)?", always=False, beams=True),
    Kind("cmpl-", "text_completion", r"(-\d+)?", beams=True),
    Kind("resp_", "chat", r"_\d+"),
    Kind("generate-tokens-", "text_completion", "", always=False),
    Kind("transcribe-", "transcription", r"(-\d+|-lang_detect)?", always=False, beams=True),
    Kind("translate-", "translation", r"(-\d+|-lang_detect)?", always=False, beams=True),
    Kind("rt-", "transcription", "", always=False),
    Kind("embd-", "embeddings", r"(-prompt-\d+-chunk)?-\d+"),
    Kind("classify-", "classify", r"-\d+"),
    Kind("score-", "score", r"-\d+"),
    Kind("pooling-", "pooling", r"-\d+"),
    Kind("generative-scoring-", "score", r"-\d+"),
    Kind("decision-", "decision", r"-\d+"),
)
"""Every kind of call of vLLM's API servers (0.32 and 0.33)."""

_LATE = re.compile(rf"late-interaction-{_HEX}-(query|doc)-\d+")
_LATE_PREFIX = "score-"

POOLING_TASKS = {
    "embed": "embeddings",
    "token_embed": "embeddings",
    "classify": "classify",
    "token_classify": "classify",
}
"""Operation of a pooling request that no API server made, by its task."""


_NO_CALL = Call()


class Identity(NamedTuple):
    """What an external id means.

    Attributes:
        api_request_id: the id that the caller of the API sees.
        operation: its `gen_ai.operation.name`.
        beam: number of the beam, None outside a beam search.
    """

    api_request_id: str
    operation: str
    beam: int | None = None


def identify(external_id: str, call: Call | None = None, task: str | None = None) -> Identity:
    """Find the call that a sequence belongs to.

    Args:
        external_id: vLLM's `external_req_id`.
        call: what the serving class noted; None outside one.
        task: pooling task; None if the request generates.
    """
    call = call or _NO_CALL
    if call.api_request_id:
        return Identity(call.api_request_id, call.operation or _library(task))
    found = None
    if call.base is not None:
        found = _noted(external_id, call.base)
    elif call.kind is not None:
        found = _told(external_id, call.kind)
    found = found or _read(external_id) or Identity(external_id, call.operation or _library(task))
    if found.operation == "score" and call.path.endswith("/rerank"):
        return found._replace(operation="rerank")
    return found


def _noted(external_id: str, base: str) -> Identity | None:
    """By the base that the serving class noted: exact, whatever the caller chose."""
    if _LATE.fullmatch(external_id):
        return Identity(_LATE_PREFIX + base, "score")
    for kind in KINDS:
        api_request_id = kind.prefix + base
        if external_id.startswith(api_request_id):
            rest = external_id[len(api_request_id) :]
            beam = _BEAM.search(rest) if kind.beams else None
            part = rest[: beam.start()] if beam else rest
            if re.fullmatch(kind.part, part):
                return Identity(api_request_id, kind.operation, int(beam[1]) if beam else None)
    return None


def _read(external_id: str) -> Identity | None:
    """By the text alone. A part that is not always there is left on."""
    for kind in KINDS:
        if external_id.startswith(kind.prefix):
            beam = _BEAM.search(external_id) if kind.beams else None
            if beam:
                return Identity(external_id[: beam.start()], kind.operation, int(beam[1]))
            if not kind.always:
                return Identity(external_id, kind.operation)
            return _told(external_id, kind) or Identity(external_id, kind.operation)
    return None


def _told(external_id: str, kind: Kind) -> Identity | None:
    """Without the part that this kind always has; None if there is none."""
    found = re.search(f"(?:{kind.part})$", external_id)
    if found is None or not found[0]:
        return None
    return Identity(external_id[: found.start()], kind.operation)


def _library(task: str | None) -> str:
    return "text_completion" if task is None else POOLING_TASKS.get(task, "pooling")


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """What the API server knows of a sequence and the engine core does not.

    Attributes:
        frontend: instance id of the journal that will hold its `RequestDelivered`; empty if none.
        api_request_id, operation, model, sample_index, sample_count: as in `RequestArrived`.
    """

    frontend: str
    api_request_id: str
    operation: str
    model: str
    sample_index: int = 0
    sample_count: int = 1


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Origin).decode


def put(headers: Mapping[str, str] | None, origin: Origin) -> dict[str, str]:
    """Trace headers with our member in them. What was given is left as it is."""
    return {**(headers or {}), MEMBER: _encode(origin).decode()}


def take(headers: Mapping[str, str] | None) -> tuple[Origin | None, dict[str, str] | None]:
    """Separate our member from the caller's trace headers.

    Returns:
        Our member, None where there is none or it cannot be read; and the headers as they were
        before `put`, None if nothing else was in them.
    """
    if not headers or MEMBER not in headers:
        return None, dict(headers) if headers else None
    rest = {name: value for name, value in headers.items() if name != MEMBER}
    try:
        origin = _decode(headers[MEMBER])
    except (msgspec.MsgspecError, TypeError):
        origin = None
    return origin, rest or None
