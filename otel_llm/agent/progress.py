"""How far its steps have brought a request that has not ended."""

import msgspec

from otel_llm.agent.rules import MAX_COUNT
from otel_llm.agent.seats import Progress
from otel_llm.clock import MonotonicNs
from otel_llm.facts import RequestFinished

MAX_RESUMPTIONS = 64
"""Most resumptions remembered per request."""


def told_by_steps(progress: Progress, finished: RequestFinished) -> RequestFinished:
    """An end with the stamps that it leaves out and the request's steps tell.

    An engine that lets go of an aborted request need not know when its tokens were made.
    """
    if finished.last_token_ns is not None or progress.last_token_ns is None:
        return finished
    first_ns = finished.first_token_ns
    return msgspec.structs.replace(
        finished,
        first_token_ns=progress.first_token_ns if first_ns is None else first_ns,
        last_token_ns=progress.last_token_ns,
    )


def unfinished(
    index: int, progress: Progress, prompt_tokens: int, preemptions: int, last_ns: MonotonicNs
) -> RequestFinished:
    """What the steps tell of a request whose engine died.

    Args:
        index: its number.
        progress: with all its steps, those without a result included.
        prompt_tokens: of its prompt; 0 where nobody knows.
        preemptions: how often it was resumed.
        last_ns: the engine's last sign of life.
    """
    return RequestFinished(
        index=index,
        outcome="failed",
        finish_reason="",
        finished_ns=last_ns,
        scheduled_ns=progress.scheduled_ns,
        first_token_ns=progress.first_token_ns,
        last_token_ns=progress.last_token_ns,
        cached_tokens=min(progress.cached_tokens, MAX_COUNT),
        output_tokens=min(progress.output_tokens, MAX_COUNT),
        recomputed_tokens=min(progress.recomputed_tokens, MAX_COUNT),
        preemptions=preemptions,
        error_type="engine_died",
        rejected_tokens=min(progress.rejected_tokens, MAX_COUNT),
        discarded_tokens=min(progress.discarded_tokens, MAX_COUNT),
        unscheduled_tokens=max(0, prompt_tokens - progress.reached),
    )
