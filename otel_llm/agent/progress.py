"""How far its steps have brought a request that has not ended."""

from typing import NamedTuple

import msgspec
import numpy as np

from otel_llm.agent.arrays import ints
from otel_llm.agent.rules import MAX_COUNT
from otel_llm.agent.seats import Progress, Seats
from otel_llm.clock import MonotonicNs
from otel_llm.energy.rounding import Ints
from otel_llm.facts import PHASE_DECODE, PHASE_PREFILL, RequestFinished, StepScheduled

Bools = np.typing.NDArray[np.bool_]
MAX_RESUMPTIONS = 64
"""Most resumptions remembered per request."""


class Included(NamedTuple):
    """Members of a step. Arrays of shape (members,).

    Attributes:
        place: in the step's batch.
        seats: where their numbers stand.
        phase: PHASE_PREFILL or PHASE_DECODE.
        context: tokens computed before.
        end: the same and those scheduled.
    """

    place: Ints
    seats: Ints
    phase: Ints
    context: Ints
    end: Ints

    def at(self, places: "Ints | Bools") -> "Included":
        """Those at some places, or where it is true."""
        return Included(*(column[places] for column in self))


def members(step: StepScheduled, seats: Ints) -> Included:
    """Those of a step that have a seat."""
    phase = np.frombuffer(step.phase, dtype=np.uint8).astype(np.int64)
    context = ints(step.context)
    place, there = np.arange(len(seats)), seats >= 0
    everyone = Included(place, seats, phase, context, context + ints(step.tokens))
    return everyone if np.count_nonzero(there) == len(seats) else everyone.at(place[there])


def included(table: Seats, step: Included, schedule_ns: MonotonicNs) -> list[int]:
    """A step included requests.

    Args:
        table: their numbers.
        step: its members.
        schedule_ns: when it was scheduled, in monotonic nanoseconds.

    Returns:
        Places in the batch of those that were preempted before and are resumed.
    """
    if table.are_distinct(step.seats):
        return _included(table, step, schedule_ns)
    each = [step.at(np.array([place])) for place in range(len(step.seats))]
    return [place for one in each for place in _included(table, one, schedule_ns)]


def _included(table: Seats, step: Included, schedule_ns: MonotonicNs) -> list[int]:
    """As `included`, of requests each of which is there once."""
    seats = step.seats
    reached, phase = table.reached.take(seats), table.phase.take(seats)
    steady = (reached == step.context) & (phase == step.phase)
    resumed: list[int] = []
    odd = (~steady).nonzero()[0]
    if len(odd):
        for place, seat, *rest in zip(*(c.tolist() for c in step.at(odd)), strict=True):
            if _moved(table, seat, schedule_ns, *rest):
                resumed.append(place)
        table.phase[seats[odd]] = step.phase[odd]
    table.computed[seats] = step.end
    # The steady ones have reached where this step begins, and it ends no earlier.
    table.reached[seats] = np.maximum(reached, step.end) if len(odd) else step.end
    table.touch()
    return resumed


def _moved(
    table: Seats, seat: int, schedule_ns: MonotonicNs, phase: int, context: int, end: int
) -> bool:
    """A step goes on from another token than the one before it ended with, or in another phase.

    That is seldom, a few times in a request's life.

    Returns:
        Whether the request is resumed.
    """
    if table.scheduled_ns[seat] < 0:
        table.scheduled_ns[seat], table.cached_tokens[seat] = schedule_ns, context
        return False
    reached, resumes = int(table.reached[seat]), _resumes(table, seat, phase, context)
    if resumes:
        table.redone[seat] = reached
    elif context > reached:  # what others computed meanwhile spares it work
        table.cached_tokens[seat] += context - reached
    if context < reached:
        table.recomputed_tokens[seat] += min(end, reached) - context
    return resumes


def _resumes(table: Seats, seat: int, phase: int, context: int) -> bool:
    """Whether work was lost: back to prefill, or a prefill that goes on from an earlier token."""
    if phase != PHASE_PREFILL:
        return False
    return bool(table.phase[seat] == PHASE_DECODE or context < table.computed[seat])


def emitted(table: Seats, seats: Ints, tokens: Ints, result_ns: MonotonicNs) -> None:
    """A step's result gave requests output tokens, at least one each."""
    np.add.at(table.output_tokens, seats, tokens)
    table.last_token_ns[seats] = result_ns
    fresh = table.first_token_ns[seats] < 0
    if np.count_nonzero(fresh):
        table.first_token_ns[seats[fresh]] = result_ns
    table.touch()


def rejected(table: Seats, seats: Ints, tokens: Ints) -> None:
    """A step's result rejected so many of requests' drafts."""
    np.add.at(table.rejected_tokens, seats, tokens)
    np.subtract.at(table.reached, seats, tokens)
    table.reached[seats] = np.maximum(table.reached[seats], 0)
    table.touch()


def without_result(
    table: Seats, step: StepScheduled, position: int, seat: int, prompt_tokens: int
) -> None:
    """A step that included a request will never have a result.

    Its tokens past the prompt are thrown away, but for those that were computed before.
    """
    context = step.context[position]
    fresh_from = max(context, prompt_tokens, int(table.redone[seat]))
    table.discarded_tokens[seat] += max(0, context + step.tokens[position] - fresh_from)
    table.touch()


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
