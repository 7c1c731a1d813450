"""How far its steps have brought a request that has not ended."""

import msgspec

from otel_llm.agent.open_facts import OpenRequest
from otel_llm.agent.rules import MAX_COUNT
from otel_llm.clock import MonotonicNs
from otel_llm.facts import PHASE_DECODE, PHASE_PREFILL, RequestFinished, StepScheduled
from otel_llm.facts.joined import Resumption

MAX_RESUMPTIONS = 64
"""Most resumptions remembered per request."""


def included(request: OpenRequest, step: StepScheduled, position: int) -> None:
    """A step included the request, as the member at `position` of its batch."""
    phase, context = step.phase[position], step.context[position]
    end = context + step.tokens[position]
    if request.scheduled_ns is None:
        request.scheduled_ns = step.schedule_ns
        request.cached_tokens = context
    elif context != request.reached or phase != request.phase:  # seldom: this is in every step
        _moved(request, step, position, end)
    request.phase, request.computed = phase, end
    if end > request.reached:
        request.reached = end


def _moved(request: OpenRequest, step: StepScheduled, position: int, end: int) -> None:
    """A step goes on from another token than the one before it ended with, or in another phase."""
    context = step.context[position]
    if _resumes(request, step.phase[position], context):
        request.redone = request.reached
        if len(request.resumed) < MAX_RESUMPTIONS:
            resumption = Resumption(step.seq, step.schedule_ns, context)
            request.resumed = [*request.resumed, resumption]
    elif context > request.reached:  # what others computed meanwhile spares it work
        request.cached_tokens += context - request.reached
    if context < request.reached:
        request.recomputed_tokens += min(end, request.reached) - context


def emitted(request: OpenRequest, tokens: int, result_ns: MonotonicNs) -> None:
    """A step's result gave the request output tokens."""
    request.output_tokens += tokens
    request.last_token_ns = result_ns
    if request.first_token_ns is None:
        request.first_token_ns = result_ns


def rejected(request: OpenRequest, tokens: int) -> None:
    """A step's result rejected so many of the request's drafts."""
    request.rejected_tokens += tokens
    request.reached = max(0, request.reached - tokens)


def without_result(request: OpenRequest, step: StepScheduled, position: int) -> None:
    """A step that included the request will never have a result.

    Its tokens past the prompt are thrown away, but for those that were computed before.
    """
    if request.arrived is None:  # nobody knows where its prompt ends
        return
    context = step.context[position]
    fresh_from = max(context, request.arrived.prompt_tokens, request.redone)
    request.discarded_tokens += max(0, context + step.tokens[position] - fresh_from)


def told_by_steps(request: OpenRequest, finished: RequestFinished) -> RequestFinished:
    """An end with the stamps that it leaves out and the request's steps tell.

    An engine that lets go of an aborted request need not know when its tokens were made.
    """
    if finished.last_token_ns is not None or request.last_token_ns is None:
        return finished
    first_ns = finished.first_token_ns
    return msgspec.structs.replace(
        finished,
        first_token_ns=request.first_token_ns if first_ns is None else first_ns,
        last_token_ns=request.last_token_ns,
    )


def unfinished(request: OpenRequest, last_ns: MonotonicNs) -> RequestFinished:
    """What the steps tell of a request whose engine died.

    Args:
        request: with all its steps, those without a result included.
        last_ns: the engine's last sign of life.
    """
    prompt_tokens = request.arrived.prompt_tokens if request.arrived else 0
    return RequestFinished(
        index=request.index,
        outcome="failed",
        finish_reason="",
        finished_ns=last_ns,
        scheduled_ns=request.scheduled_ns,
        first_token_ns=request.first_token_ns,
        last_token_ns=request.last_token_ns,
        cached_tokens=min(request.cached_tokens, MAX_COUNT),
        output_tokens=min(request.output_tokens, MAX_COUNT),
        recomputed_tokens=min(request.recomputed_tokens, MAX_COUNT),
        preemptions=len(request.resumed),
        error_type="engine_died",
        rejected_tokens=min(request.rejected_tokens, MAX_COUNT),
        discarded_tokens=min(request.discarded_tokens, MAX_COUNT),
        unscheduled_tokens=max(0, prompt_tokens - request.reached),
    )


def _resumes(request: OpenRequest, phase: int, context: int) -> bool:
    """Whether work was lost: back to prefill, or a prefill that goes on from an earlier token."""
    if phase != PHASE_PREFILL:
        return False
    return request.phase == PHASE_DECODE or context < request.computed
