"""How far its steps have brought a request that has not ended."""

from otel_llm.agent.open_facts import OpenRequest
from otel_llm.clock import MonotonicNs
from otel_llm.facts import PHASE_DECODE, PHASE_PREFILL, StepScheduled
from otel_llm.facts.joined import Resumption

MAX_RESUMPTIONS = 64
"""Most resumptions remembered per request."""


def included(request: OpenRequest, step: StepScheduled, position: int) -> None:
    """A step included the request, as the member at `position` of its batch."""
    phase, context = step.phase[position], step.context[position]
    if request.scheduled_ns is None:
        request.scheduled_ns = step.schedule_ns
        request.cached_tokens = context
    elif _resumes(request, phase, context) and len(request.resumed) < MAX_RESUMPTIONS:
        request.resumed = [
            *request.resumed,
            Resumption(step.seq, step.schedule_ns, context),
        ]
    request.phase, request.computed = phase, context + step.tokens[position]


def emitted(request: OpenRequest, tokens: int, result_ns: MonotonicNs) -> None:
    """A step's result gave the request output tokens."""
    request.output_tokens += tokens
    request.last_token_ns = result_ns
    if request.first_token_ns is None:
        request.first_token_ns = result_ns


def _resumes(request: OpenRequest, phase: int, context: int) -> bool:
    """Whether work was lost: back to prefill, or a prefill that goes on from an earlier token."""
    if phase != PHASE_PREFILL:
        return False
    return request.phase == PHASE_DECODE or context < request.computed
