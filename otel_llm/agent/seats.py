"""How far its steps have brought each request: a seat of numbers for each that a step included.

A batch has hundreds of members and comes a hundred times a second, so Python sees none of them but
those without a seat and those that are resumed. The rest is done in C (`native/seats.h`).
"""

from array import array
from collections.abc import Container, Sequence
from typing import NamedTuple

import msgspec

from otel_llm.agent._native import Table
from otel_llm.agent.open_facts import Change, Key
from otel_llm.clock import MonotonicNs
from otel_llm.facts import StepDone, StepScheduled
from otel_llm.facts.step import Numbers, packed

KIND = "request.progress"
_ABSENT = -1


class Progress(NamedTuple):
    """How far its steps have brought a request that has not ended.

    Attributes:
        scheduled_ns: its first step.
        phase: its phase in its last step; None before the first.
        cached_tokens: tokens it found computed: at its first step, and at a resumption beyond those
            it had computed itself.
        computed: tokens computed with its last step.
        reached: the most tokens it had computed, less those of rejected drafts.
        redone: `reached` when it was last resumed.
        recomputed_tokens: tokens scheduled below `reached`.
        rejected_tokens: drafts that were not accepted.
        discarded_tokens: tokens past the prompt in steps that have no result.
        output_tokens: tokens that its steps emitted.
        first_token_ns: result of the first step that emitted one.
        last_token_ns: result of the last step that emitted one.
    """

    scheduled_ns: MonotonicNs | None = None
    phase: int | None = None
    cached_tokens: int = 0
    computed: int = 0
    reached: int = 0
    redone: int = 0
    recomputed_tokens: int = 0
    rejected_tokens: int = 0
    discarded_tokens: int = 0
    output_tokens: int = 0
    first_token_ns: MonotonicNs | None = None
    last_token_ns: MonotonicNs | None = None


UNSEEN = Progress()


class Seats:
    """The numbers of `Progress` by request. A seat is one request's until it leaves."""

    def __init__(self) -> None:
        self._table = Table()
        self._changed = self._stands = False

    def unseen(self, requests: Numbers) -> list[int]:
        """Those of a batch's members that have no seat."""
        return self._table.unseen(_bytes(requests))

    def take(self, request: int) -> None:
        """Give a request a seat if it has none; nothing has brought it anywhere yet."""
        self._table.take(request)
        self._changed = True

    def leave(self, request: int) -> None:
        """Let go of a request's seat, if it has one."""
        self._changed = self._table.leave(request) or self._changed

    def included(self, step: StepScheduled) -> list[int]:
        """A step included those of its members that have a seat.

        Returns:
            Places in the batch of those that were preempted before and are resumed.
        """
        self._changed = True
        return self._table.included(
            _bytes(step.request_index), step.phase, _bytes(step.tokens), _bytes(step.context),
            step.schedule_ns,
        )  # fmt: skip

    def done(self, step: StepScheduled, done: StepDone) -> None:
        """A step's result gave members output tokens, and rejected drafts of theirs."""
        self._changed, requests = True, _bytes(step.request_index)
        if done.emitted:
            self._table.emitted(requests, _bytes(done.emitted), done.result_ns)
        if done.accepted and step.drafts:
            self._table.rejected(requests, _bytes(step.drafts), _bytes(done.accepted))

    def without_result(self, step: StepScheduled, place: int, prompt_tokens: int) -> None:
        """A step that included a request, at this place of its batch, will never have a result.

        Its tokens past the prompt are thrown away, but for those that were computed before.
        """
        self._changed = True
        self._table.discarded(
            step.request_index[place], step.context[place], step.tokens[place], prompt_tokens
        )

    def progress(self, request: int) -> Progress:
        """The numbers of one request."""
        known = self._table.numbers(request)
        if known is None:
            return UNSEEN
        pairs = zip(known, UNSEEN, strict=True)
        return Progress._make(blank if number == _ABSENT else number for number, blank in pairs)

    def changes(self) -> list[Change]:
        """All of them together, if any has changed since the last `saved`."""
        if not self._changed:
            return []
        if not len(self._table):
            return [(KIND, "", None)] if self._stands else []
        return [(KIND, "", self._table.table())]

    def saved(self) -> None:
        """What `changes` returned is safe."""
        if self._changed:
            self._changed, self._stands = False, len(self._table) > 0

    def keep(self, requests: Container[int]) -> None:
        """Let go of the seats of all others."""
        count = len(self._table)
        seated = array("q", self._table.table()[: 8 * count])
        for request in seated:
            if request not in requests:
                self.leave(request)

    def restore(self, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """Take up its own among saved rows.

        Raises:
            msgspec.ValidationError: they are damaged.
        """
        for kind, _, body in saved:
            if kind == KIND:
                self._restore(body)

    def _restore(self, body: bytes) -> None:
        try:
            self._table.fill(body)
        except ValueError as error:
            message = f"{KIND}: {len(body)} bytes are no table: {error}"
            raise msgspec.ValidationError(message) from error
        self._stands = True


def _bytes(numbers: Numbers) -> bytes:
    return (numbers if isinstance(numbers, array) else packed(numbers)).tobytes()
