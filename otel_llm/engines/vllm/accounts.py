"""A request's token account: which positions its steps included, and what became of them.

Positions are counted from the beginning of the prompt. A step includes a run of them, from its
*context* on. The *high water mark* is the end of what steps had included before the request lost it
to a preemption: what is included below it is recomputed, what lies above is included for the first
time. Up to the end of the prompt that is prompt; past it, each position is worth an output token,
unless the token is rejected or thrown away.
"""

from typing import NamedTuple

from otel_llm.clock import MonotonicNs
from otel_llm.recorder import RequestHandle


class Placed(NamedTuple):
    """What a step's run of positions is.

    Attributes:
        prefill: it works through tokens that are known already: the prompt, or after a preemption
            also what had been generated.
        settled: the steps that follow will decode, unless the request is preempted.
        own: positions past the prompt that no step had included before.
    """

    prefill: bool
    settled: bool
    own: int


class Account:
    """One request's account, from the scheduler's queue to its end.

    Attributes:
        handle: where its facts go.
        index: the handle's index.
        prompt: tokens of the prompt.
        has_token: its first token has been reported.
        rejected: speculative tokens rejected so far.
        discarded: tokens past the prompt whose result was thrown away so far.
    """

    __slots__ = (
        "_high", "_recomputed", "_resuming", "_scheduled", "discarded", "handle", "has_token",
        "index", "prompt", "rejected",
    )  # fmt: skip

    def __init__(self, handle: RequestHandle, prompt: int) -> None:
        self.handle = handle
        self.index = handle.index
        self.prompt = prompt
        self.has_token = False
        self.rejected = self.discarded = 0
        self._high = 0  # as it was at the last preemption; from there on vLLM's own count is it
        self._recomputed = 0
        self._scheduled = self._resuming = False

    def place(self, context: int, end: int, at_ns: MonotonicNs) -> Placed:
        """A step includes the positions from `context` up to `end`.

        Args:
            context: tokens computed before the step, or taken from the prefix cache.
            end: `context` and the tokens scheduled.
            at_ns: when it was scheduled.
        """
        high = self._high
        if not self._scheduled:
            self._scheduled = True
            self.handle.scheduled(context, at_ns)
        elif self._resuming and context > high:
            self.handle.resumed(context - high)
        self._resuming = False
        if context < high:
            self._recomputed += min(end, high) - context
        known = max(self.prompt, high)
        return Placed(context < known, end >= known, max(0, end - max(context, known)))

    def preempted(self, computed: int, dropped: int) -> None:
        """It lost its place and what it had computed.

        Args:
            computed: end of what its steps had included.
            dropped: of that, positions past the prompt in steps in flight whose result will be
                thrown away. They are counted as discarded at that result; the step that includes
                them again does so as if for the first time.
        """
        self.handle.preempted()
        self.rolled_back(computed, dropped)
        self._resuming = True

    def rolled_back(self, computed: int, dropped: int) -> None:
        """It has to compute again what it had computed. The arguments are `preempted`'s."""
        self._high = max(self._high, computed) - dropped

    def lowered(self, rejected: int) -> None:
        """A step in flight at its preemption is in: so many of the tokens counted were rejected."""
        self._high -= rejected

    def unscheduled(self, computed: int) -> int:
        """Prompt tokens that no step has included.

        Args:
            computed: vLLM's count of computed tokens; while the request waits after a preemption
                it tells nothing of steps.
        """
        if not self._scheduled:
            return self.prompt
        reached = self._high if self._resuming else max(self._high, computed)
        return max(0, self.prompt - reached)

    def report(self) -> None:
        """Tell the handle what was counted. Call once, at the request's end."""
        self.handle.recomputed(self._recomputed)
        self.handle.rejected(self.rejected)
        self.handle.discarded(self.discarded)
