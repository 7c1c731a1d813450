"""A set of steps in a few numbers."""

from collections.abc import Sequence
from statistics import median_low

import msgspec

from otel_llm.facts.step import PHASE_DECODE, PHASE_PREFILL
from otel_llm.query.rows import Step


class StepSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Steps in which some requests took part.

    Attributes:
        count: how many.
        in_flight: of these, without a result: their engine died.
        batch_min, batch_median, batch_max: members of a batch.
        own_prefill_tokens, own_decode_tokens: tokens scheduled for the requests themselves.
        all_prefill_tokens, all_decode_tokens: tokens scheduled for whole batches.
        own_drafts, own_accepted: of the requests' own tokens, speculative ones whose result was
            told, and how many of them were accepted.
        slowest: the longest of them, longest first.
    """

    count: int
    in_flight: int
    batch_min: int
    batch_median: int
    batch_max: int
    own_prefill_tokens: int
    own_decode_tokens: int
    all_prefill_tokens: int
    all_decode_tokens: int
    own_drafts: int
    own_accepted: int
    slowest: list[Step]


def summarise(steps: Sequence[Step], slowest: int = 3) -> StepSummary | None:
    """Sum up steps; None if there are none.

    Args:
        steps: of one engine instance.
        slowest: how many to list.
    """
    if not steps:
        return None
    sizes = [step.batch_size for step in steps]
    done = [step for step in steps if step.duration_ns is not None]
    return StepSummary(
        count=len(steps),
        in_flight=len(steps) - len(done),
        batch_min=min(sizes),
        batch_median=median_low(sizes),
        batch_max=max(sizes),
        own_prefill_tokens=sum(own_work(step, PHASE_PREFILL)[1] for step in steps),
        own_decode_tokens=sum(own_work(step, PHASE_DECODE)[1] for step in steps),
        all_prefill_tokens=sum(step.prefill_tokens for step in steps),
        all_decode_tokens=sum(step.decode_tokens for step in steps),
        own_drafts=sum(sum(step.own_drafts) for step in steps if step.own_accepted),
        own_accepted=sum(sum(step.own_accepted) for step in steps),
        slowest=sorted(done, key=lambda step: -(step.duration_ns or 0))[:slowest],
    )


def own_work(step: Step, phase: int, index: int | None = None) -> tuple[int, int]:
    """Own members of a step in a phase, and their tokens; of one request alone if named."""
    tokens = [
        tokens
        for own, own_phase, tokens in zip(
            step.own_index, step.own_phase, step.own_tokens, strict=True
        )
        if own_phase == phase and index in (None, own)
    ]
    return len(tokens), sum(tokens)
