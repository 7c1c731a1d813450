"""A request's account: prompt, cache, recomputation, and what is worth an output token."""

from otel_llm.clock import MonotonicNs
from otel_llm.engines.vllm.accounts import Account, Placed
from otel_llm.isolation import Guard
from otel_llm.journal.records import Record
from otel_llm.recorder import RequestHandle

NOW = MonotonicNs(5)


class Told(RequestHandle):
    """A handle that shows what it was told."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        super().__init__(3, self.records.append, lambda: NOW, Guard("test"))

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Cached, recomputed, rejected, discarded."""
        return (
            self._cached_tokens,
            self._recomputed_tokens,
            self._rejected_tokens,
            self._discarded_tokens,
        )


def account(prompt: int = 10) -> tuple[Account, Told]:
    """An account of a request that has just been queued."""
    handle = Told()
    return Account(handle, prompt), handle


def test_a_prompt_in_chunks_and_its_first_decode() -> None:
    """Chunks up to the prompt's end are worth no output token; a decode is worth one."""
    one, handle = account()
    assert one.place(4, 7, NOW) == Placed(prefill=True, settled=False, own=0)
    assert one.place(7, 10, NOW) == Placed(prefill=True, settled=True, own=0)
    assert one.place(10, 11, NOW) == Placed(prefill=False, settled=True, own=1)
    one.report()
    assert handle.counts == (4, 0, 0, 0)


def test_speculation_behind_a_wholly_cached_prompt() -> None:
    """A chunk over the prompt's end prefills; what of it lies past the end is worth tokens."""
    one, _ = account()
    assert one.place(9, 13, NOW) == Placed(prefill=True, settled=True, own=3)


def test_what_is_included_again_is_recomputed() -> None:
    """After a preemption all below the high water mark is recomputed, generated tokens too."""
    one, handle = account()
    one.place(0, 10, NOW)
    one.preempted(computed=13, dropped=0)
    assert one.place(2, 8, NOW) == Placed(prefill=True, settled=False, own=0)
    assert one.place(8, 14, NOW) == Placed(prefill=True, settled=True, own=1)
    assert one.place(14, 15, NOW) == Placed(prefill=False, settled=True, own=1)
    one.report()
    assert handle.counts == (0, 11, 0, 0)


def test_a_cache_that_holds_more_than_the_request_had_computed() -> None:
    """Only what lies beyond its own work is cached; only once, at the resumption."""
    one, handle = account()
    one.place(0, 4, NOW)
    one.preempted(computed=4, dropped=0)
    one.place(6, 8, NOW)
    one.place(8, 10, NOW)
    one.report()
    assert handle.counts == (2, 0, 0, 0)


def test_what_is_dropped_is_included_again_as_if_for_the_first_time() -> None:
    """Two tokens in flight are dropped at a preemption: their positions are not recomputed."""
    one, handle = account()
    one.place(0, 10, NOW)
    one.preempted(computed=15, dropped=2)
    assert one.place(0, 14, NOW).own == 1
    one.report()
    assert handle.counts == (0, 13, 0, 0)


def test_drafts_rejected_after_a_preemption() -> None:
    """A stale result lowers the mark by what it rejects."""
    one, handle = account()
    one.place(0, 10, NOW)
    one.preempted(computed=14, dropped=0)
    one.lowered(2)
    assert one.place(0, 13, NOW).own == 1
    one.report()
    assert handle.counts == (0, 12, 0, 0)


def test_preempted_again_while_recomputing() -> None:
    """The mark stays where the first preemption left it until the request is past it."""
    one, handle = account()
    one.place(0, 10, NOW)
    one.preempted(computed=12, dropped=0)
    one.place(0, 5, NOW)
    one.preempted(computed=5, dropped=0)
    one.place(0, 13, NOW)
    one.report()
    assert handle.counts == (0, 5 + 12, 0, 0)


def test_prompt_tokens_that_no_step_included() -> None:
    """All before the first step. While it waits to be resumed, vLLM's count says nothing."""
    one, _ = account()
    assert one.unscheduled(computed=9) == 10
    one.place(0, 4, NOW)
    assert one.unscheduled(computed=4) == 6
    one.preempted(computed=6, dropped=0)
    assert one.unscheduled(computed=0) == 4
    assert one.unscheduled(computed=9) == 4
    one.place(9, 10, NOW)
    assert one.unscheduled(computed=10) == 0


def test_the_first_step_is_the_request_s_schedule_stamp() -> None:
    """The handle is told of the first step alone."""
    one, handle = account()
    one.place(3, 5, MonotonicNs(11))
    one.place(5, 10, MonotonicNs(12))
    assert handle._scheduled_ns == 11
    one.preempted(computed=10, dropped=0)
    one.place(0, 10, MonotonicNs(13))
    assert handle._scheduled_ns == 11
    assert handle._preemptions == 1
