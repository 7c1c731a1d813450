"""What each field of a record may hold. `hygiene.py` applies it.

One rule per field. A value that breaks its rule is mended (cut, clamped, taken as absent) where the
record still means something without it, else the record is dropped.

What holds is text, so that all rules of a record become one expression (`checks.py`): calling each
by itself took four times as long.
"""

import hashlib
import operator
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from otel_llm.agent import _native
from otel_llm.clock import Anchor
from otel_llm.facts import (
    PHASE_DECODE,
    PHASE_PREFILL,
    Attempt,
    GatewayCall,
    GatewayCallStarted,
    Producer,
    RequestArrived,
    RequestDelivered,
    RequestFinished,
    StepDone,
    StepGpuTime,
    StepKernels,
    StepScheduled,
)
from otel_llm.facts.identity import Identity

MAX_TEXT = 256
ID_PREFIX, ID_DIGEST = 200, 32
"""Characters and hexadecimal digits that are left of an id longer than `MAX_TEXT`."""
MAX_HEADER = 2048
MAX_KERNEL_NAME = 4096
MAX_ITEMS = 65_536
"""Most members of a step, kernels of a record, and names of kernels."""
MAX_COUNT = (1 << 32) - 1
"""Most tokens of a request or of a step: what a column of its row holds."""
MAX_LEFT_OUT = 64
"""Most hooks that a producer may say are left out."""
MAX_DEVICES = 64
"""Most devices that a producer may name."""
_STAMP_BITS = 61
MAX_STAMP_NS = (1 << _STAMP_BITS) - 1
"""Longest uptime believed, about 73 years, in nanoseconds; sums of stamps then fit 63 bits."""
MAX_WALL_NS = 1 << 62
MAX_KERNEL_NS = 86_400_000_000_000
"""Longest step and longest kernel that are believed, a day; sums over a record then fit 63 bits."""


_HEX = frozenset("0123456789abcdef")
_PHASES = bytes([PHASE_PREFILL, PHASE_DECODE])


def _are_within(many: "list[int] | array[int]", top: int) -> bool:
    """Whether numbers are from 0 to a top; in an array, to one that is a power of two less one."""
    if isinstance(many, array):  # no bit is set above the top's, that of the sign among them
        return 0 <= _native.bits(many.tobytes()) <= top
    return _native.within(many, top)


def are_parts(parts: Sequence[int], wholes: Sequence[int]) -> bool:
    """Whether each is a part of the whole at its place."""
    return len(parts) == len(wholes) and all(map(operator.le, parts, wholes))


def _sum_is_within(many: Sequence[int], top: int) -> bool:
    """Whether numbers of at least 0 add up to no more than a top."""
    if isinstance(many, array):
        bits = _native.bits(many.tobytes())
        if bits * len(many) <= top:  # as nearly always: no number is more than all bits together
            return True
    return sum(many) <= top


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and _HEX.issuperset(text) and text != "0" * digits


def _are_phases(phases: bytes) -> bool:
    return not phases.translate(None, _PHASES)


def _longest(texts: Iterable[str]) -> int:
    return max(map(len, texts), default=0)


WORDS: Mapping[str, Callable[..., Any]] = {
    "are_parts": are_parts,
    "are_phases": _are_phases,
    "are_within": _are_within,
    "astuple": msgspec.structs.astuple,
    "is_hex": _is_hex,
    "longest": _longest,
    "sum_is_within": _sum_is_within,
    "within": _native.within,
}
"""What rules may use beside Python's own."""


class Rule(NamedTuple):
    """What a field may hold.

    Attributes:
        what: label under which a breach is counted.
        holds: whether a value is within the rule: a Python expression with `{0}` for the value,
            which may use `WORDS`.
        mend: makes a value of one that is not; None drops the record.
        bits: where a number of so many bits is all that is asked for: so many. What a record's
            numbers of as many bits have in common is asked once (`checks.py`).
        number: that number, an expression as `holds`.
    """

    what: str
    holds: str
    mend: Callable[[Any], Any] | None = None
    bits: int | None = None
    number: str = "{0}"


def _number(what: str, bits: int, mend: Callable[[Any], Any] | None = None) -> Rule:
    return Rule(what, f"0 <= {{0}} <= {(1 << bits) - 1}", mend, bits)


def _count(bits: int) -> Rule:
    top = (1 << bits) - 1
    return _number("tokens", bits, lambda n: min(max(n, 0), top))


def _counts(bits: int) -> Rule:
    top = (1 << bits) - 1
    return Rule(
        "tokens",
        f"(not {{0}} or are_within({{0}}, {top}))",
        lambda many: [min(max(n, 0), top) for n in many],
    )


def _text(most: int) -> Rule:
    return Rule("text", f"len({{0}}) <= {most}", lambda text: text[:most])


def bounded_id(text: str) -> str:
    """An id too long for its column, still told apart from every other.

    A caller may choose the greater part of an id (`X-Request-Id`), and an engine put what makes it
    unique at its end. Each process's record of a request is bounded to the same text.
    """
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:ID_PREFIX]}~{digest[:ID_DIGEST]}"


def _hex(digits: int) -> Rule:
    return Rule(
        "trace",
        f"is_hex({{0}}, {digits})",
        lambda _: "",
    )


def _texts(most: int) -> Rule:
    return Rule(
        "text",
        f"len({{0}}) <= {most} and longest({{0}}) <= {MAX_TEXT}",
        lambda texts: [text[:MAX_TEXT] for text in texts[:most]],
    )


def _optional(rule: Rule, mend: Callable[[Any], Any] | None = None) -> Rule:
    holds = f"({{0}} is None or {rule.holds})"
    return Rule(rule.what, holds, mend or (lambda _: None), rule.bits, "({0} or 0)")


def _identity_cut(identity: Identity) -> Identity:
    cut = {name: text[:MAX_TEXT] for name, text in msgspec.structs.asdict(identity).items()}
    return Identity(**cut)


_TEXT = _text(MAX_TEXT)
_ID = _TEXT._replace(mend=bounded_id)
_MAYBE_TEXT = _optional(_TEXT, _TEXT.mend)
_MAYBE_ID = _optional(_ID, _ID.mend)
_COUNT_16, _COUNT_32, _COUNT_64 = _count(16), _count(32), _count(63)
_MAYBE_16, _MAYBE_32 = _optional(_COUNT_16), _optional(_COUNT_32)
_STAMP = _number("time", _STAMP_BITS)
_MAYBE_STAMP = _optional(_STAMP)
_TRACEPARENT = _optional(_text(MAX_HEADER)._replace(what="traceparent"))
_TRACESTATE = _optional(_text(MAX_HEADER)._replace(what="tracestate"))
_INSTANCE = Rule("text", f"(not {{0}} or {_hex(32).holds})", lambda _: "")
_KERNEL_TIMES = Rule("time", f"within({{0}}, {MAX_KERNEL_NS})")
_NUMBER = Rule("tokens", f"0 < {{0}} < {1 << 63}")

RULES: Mapping[type[msgspec.Struct], Mapping[str, Rule]] = {
    Producer: {
        "boot_id": _TEXT,
        "service": _TEXT,
        "host": _TEXT,
        "engine": _TEXT,
        "engine_version": _TEXT,
        "model": _TEXT,
        "dp_rank": _COUNT_16,
        "left_out": _texts(MAX_LEFT_OUT),
        "devices": _texts(MAX_DEVICES),
        "ranks": _COUNT_16,
        "identity": Rule("text", f"longest(astuple({{0}})) <= {MAX_TEXT}", _identity_cut),
        "shape": _optional(Rule("journal", "{0}.is_sound")),
    },
    Anchor: {
        "wall_ns": Rule("time", f"0 <= {{0}} <= {MAX_WALL_NS}"),
        "mono_ns": _STAMP,
        "error_ns": _COUNT_32,
    },
    RequestArrived: {
        "index": _NUMBER,
        "request_id": _ID,
        "api_request_id": _ID,
        "operation": _TEXT,
        "model": _TEXT,
        "arrival_ns": _STAMP,
        "prompt_tokens": _COUNT_32,
        "max_tokens": _MAYBE_32,
        "sample_index": _COUNT_16,
        "sample_count": _COUNT_16,
        "traceparent": _TRACEPARENT,
        "tracestate": _TRACESTATE,
        "frontend": _INSTANCE,
        "lora": _TEXT,
    },
    RequestFinished: {
        "index": _NUMBER,
        "finish_reason": _TEXT,
        "finished_ns": _STAMP,
        "queued_ns": _MAYBE_STAMP,
        "scheduled_ns": _MAYBE_STAMP,
        "first_token_ns": _MAYBE_STAMP,
        "first_output_ns": _MAYBE_STAMP,
        "last_token_ns": _MAYBE_STAMP,
        "cached_tokens": _COUNT_32,
        "output_tokens": _COUNT_32,
        "recomputed_tokens": _COUNT_32,
        "preemptions": _COUNT_32,
        "error_type": _MAYBE_TEXT,
        "rejected_tokens": _COUNT_32,
        "discarded_tokens": _COUNT_32,
        "unscheduled_tokens": _COUNT_32,
    },
    RequestDelivered: {
        "request_id": _ID,
        "api_request_id": _ID,
        "operation": _TEXT,
        "model": _TEXT,
        "arrival_ns": _STAMP,
        "finished_ns": _STAMP,
        "finish_reason": _TEXT,
        "prompt_tokens": _COUNT_32,
        "output_tokens": _COUNT_32,
        "first_output_ns": _MAYBE_STAMP,
        "max_tokens": _MAYBE_32,
        "sample_index": _COUNT_16,
        "sample_count": _COUNT_16,
        "traceparent": _TRACEPARENT,
        "tracestate": _TRACESTATE,
        "lora": _TEXT,
        "error_type": _MAYBE_TEXT,
    },
    StepScheduled: {
        "seq": _NUMBER,
        "schedule_ns": _STAMP,
        "request_index": _counts(63),
        "phase": Rule("batch", "are_phases({0})"),
        "tokens": _counts(32),
        "context": _counts(32),
        "running": _COUNT_32,
        "waiting": _COUNT_32,
        "kv_used": _COUNT_32,
        "kv_total": _COUNT_32,
        "drafts": _counts(32),
        "short": Rule("batch", "not {0}"),  # a reader has written it out
    },
    StepDone: {
        "seq": _NUMBER,
        "result_ns": _STAMP,
        "emitted": _counts(32),
        "execute_ns": _optional(_COUNT_64),
        "accepted": _counts(32),
        "cudagraph_mode": _TEXT,
        "ones": Rule("batch", f"0 <= {{0}} <= {MAX_ITEMS}", lambda _: 0),
    },
    StepKernels: {
        "seq": _COUNT_64,
        "device": _TEXT,
        "names": Rule(
            "text",
            f"longest({{0}}) <= {MAX_KERNEL_NAME}",
            lambda names: [name[:MAX_KERNEL_NAME] for name in names],
        ),
        "base_ns": _STAMP,
        "offset_ns": _KERNEL_TIMES,
        "duration_ns": _KERNEL_TIMES,
    },
    StepGpuTime: {
        "seq": _NUMBER,
        "engine": _hex(32)._replace(mend=None),
        "dp_rank": _COUNT_16,
        "rank": _COUNT_16,
        "device": _TEXT,
        "launched_ns": _STAMP,
        "gpu_ns": Rule("time", f"0 <= {{0}} <= {MAX_KERNEL_NS}"),
    },
    GatewayCallStarted: {
        "call_id": _TEXT,
        "trace_id": _hex(32),
        "span_id": _hex(16),
        "arrival_ns": _STAMP,
        "route": _TEXT,
        "tenant": _TEXT,
    },
    GatewayCall: {
        "call_id": _TEXT,
        "trace_id": _hex(32),
        "span_id": _hex(16),
        "parent_span_id": _optional(_hex(16)),
        "arrival_ns": _STAMP,
        "finished_ns": _STAMP,
        "method": _TEXT,
        "route": _TEXT,
        "operation": _TEXT,
        "model": _MAYBE_TEXT,
        "tenant": _TEXT,
        "tier": _TEXT,
        "status_code": _MAYBE_16,
        "error_class": _MAYBE_TEXT,
        "samples": _MAYBE_16,
        "first_content_ns": _MAYBE_STAMP,
        "last_content_ns": _MAYBE_STAMP,
        "chunks": _COUNT_32,
        "inter_chunk_us": _counts(32),
        "prompt_tokens": _MAYBE_32,
        "cached_tokens": _MAYBE_32,
        "output_tokens": _MAYBE_32,
        "attempts": _COUNT_16,
        "response_id": _MAYBE_ID,
        "request_bytes": _COUNT_64,
        "response_bytes": _COUNT_64,
    },
    Attempt: {
        "call_id": _TEXT,
        "trace_id": _hex(32),
        "span_id": _hex(16),
        "attempt": _COUNT_16,
        "upstream": _TEXT,
        "started_ns": _STAMP,
        "finished_ns": _STAMP,
        "status_code": _MAYBE_16,
        "first_byte_ns": _MAYBE_STAMP,
        "error_class": _MAYBE_TEXT,
        "breaker": _TEXT,
        "backoff_ns": _COUNT_64,
    },
}


ARRAYS: Mapping[type[msgspec.Struct], tuple[str, ...]] = {
    StepScheduled: ("request_index", "phase", "tokens", "context", "drafts"),
    StepDone: ("emitted", "accepted"),
    StepKernels: ("names", "name_index", "offset_ns", "duration_ns"),
}
"""Fields that hold one entry per member, `MAX_ITEMS` at most."""


SHAPES: Mapping[type[msgspec.Struct], Sequence[Rule]] = {
    # No host has been up for longer than since 1970, so that no wall time is negative.
    Anchor: [Rule("time", "{0}.offset_ns >= 0")],
    StepScheduled: [
        Rule(
            "batch",
            "len({0}.request_index) == len({0}.phase) == len({0}.tokens) == len({0}.context)"
            f" and sum_is_within({{0}}.tokens, {MAX_COUNT})",
        ),
        Rule(
            "batch",
            "(not {0}.drafts or are_parts({0}.drafts, {0}.tokens))",
            lambda step: msgspec.structs.replace(step, drafts=[]),
        ),
    ],
    StepKernels: [
        Rule(
            "batch",
            "len({0}.name_index) == len({0}.offset_ns) == len({0}.duration_ns)"
            " and within({0}.name_index, len({0}.names) - 1)",
        )
    ],
}
"""What fields must be to each other: arrays of one length, indices that point at something.

Each rule is of the whole record, and looked at when its fields are within theirs.
"""
