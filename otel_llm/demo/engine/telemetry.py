"""The engine's instrumentation: its events, told to an `otel_llm.recorder.Recorder`.

This is all that an engine adds to be followed; `docs/instrument-your-engine.md` walks through it.
"""

from dataclasses import dataclass

from otel_llm.clock import SYSTEM_CLOCK, Clock, MonotonicNs
from otel_llm.demo.engine.call import Call
from otel_llm.demo.engine.config import EngineConfig
from otel_llm.demo.engine.events import EngineEvents
from otel_llm.demo.engine.scheduler import Plan, Share
from otel_llm.demo.engine.sequence import Sequence
from otel_llm.demo.engine.timing import KernelTimer
from otel_llm.facts.request import RequestOutcome
from otel_llm.recorder import Recorder, RequestHandle


@dataclass
class Followed:
    """A request's handle, and what its account is made from.

    Attributes:
        handle: tells the recorder.
        prompt_tokens: tokens of the prompt.
        reached: tokens that steps or the prefix cache have brought it to so far. What a later step
            computes below this mark, it computes again.
        in_flight: tokens past the prompt, scheduled for the first time, whose result is not in.
        last_token_ns: when it last got a token, in monotonic nanoseconds.
    """

    handle: RequestHandle
    prompt_tokens: int
    reached: int = 0
    in_flight: int = 0
    last_token_ns: MonotonicNs | None = None

    def admitted(self, cached: int, now: MonotonicNs) -> None:
        """A step includes it for the first time."""
        self.handle.scheduled(cached_tokens=cached, at_ns=now)
        self.reached = cached

    def resumed(self, cached: int) -> None:
        """A step includes it again. Of its own tokens it finds some; those are not news."""
        self.handle.resumed(cached_tokens=max(0, cached - self.reached))
        self.reached = max(self.reached, cached)

    def included(self, share: Share) -> None:
        """A step includes so many of its tokens."""
        end = share.context + share.tokens
        again = min(end, self.reached) - share.context
        if again > 0:
            self.handle.recomputed(again)
        self.in_flight = max(0, end - max(self.reached, self.prompt_tokens))
        self.reached = max(self.reached, end)

    def got_result(self, share: Share, now: MonotonicNs) -> None:
        """The step's result is in."""
        self.in_flight = 0
        if share.samples:
            self.handle.first_token(at_ns=now)  # only the first call counts
            self.last_token_ns = now

    def ended(self, sequence: Sequence, error_type: str | None) -> None:
        """It is over, perhaps with a step in flight."""
        if self.in_flight:
            self.handle.discarded(self.in_flight)
        self.handle.finished(
            outcome=_outcome(sequence, error_type),
            finish_reason=sequence.finish_reason or "error",
            output_tokens=sequence.output_tokens,
            last_token_ns=self.last_token_ns,
            error_type=error_type,
            unscheduled_tokens=max(0, self.prompt_tokens - self.reached),
        )


class RecordedEvents(EngineEvents):
    """Records what the engine does.

    Args:
        recorder: where to.
        clock: one reading stamps everything that one event tells.
    """

    def __init__(self, recorder: Recorder, clock: Clock = SYSTEM_CLOCK) -> None:
        self._recorder = recorder
        self._now = clock.monotonic_ns
        self._followed: dict[str, Followed] = {}
        self._step = 0

    @classmethod
    def open(cls, config: EngineConfig, version: str) -> "RecordedEvents":
        """Open the journal that the engine's events go to."""
        return cls(
            Recorder.open(
                engine="reference",
                engine_version=version,
                model=config.model_name,
                service=config.name,
                devices=config.devices,
                ranks=len(config.devices),
                shape=config.model.shape,
            )
        )

    def arrived(self, call: Call) -> None:
        """One handle per sample, all under the call's id."""
        for index, sequence in enumerate(call.sequences):
            handle = self._recorder.request_arrived(
                request_id=sequence.request_id,
                api_request_id=call.id,
                operation=call.operation,
                model=call.model,
                prompt_tokens=sequence.prompt_tokens,
                max_tokens=sequence.sampling.max_tokens,
                sample_index=index,
                sample_count=len(call.sequences),
                traceparent=call.headers.get("traceparent"),
                tracestate=call.headers.get("tracestate"),
                arrival_ns=call.arrival_ns,
            )
            handle.queued()
            self._followed[sequence.request_id] = Followed(handle, sequence.prompt_tokens)

    def scheduled(self, plan: Plan) -> None:
        """The batch, and what it changed for its members and for those it displaced."""
        now = self._now()
        for sequence in plan.preempted:
            self._of(sequence).handle.preempted()
        for sequence in plan.admitted:
            self._of(sequence).admitted(sequence.cached or 0, now)
        for sequence, cached in plan.resumed:
            self._of(sequence).resumed(cached)
        for share in plan.shares:
            self._of(share.sequence).included(share)
        self._step = self._recorder.step_scheduled(
            request_index=[self._of(each.sequence).handle.index for each in plan.shares],
            phase=bytes(each.decode for each in plan.shares),
            tokens=[each.tokens for each in plan.shares],
            context=[each.context for each in plan.shares],
            running=plan.running,
            waiting=plan.waiting,
            kv_used=plan.kv_used,
            kv_total=plan.kv_total,
            at_ns=now,
        )

    def done(self, plan: Plan, execute_ns: int, kernels: KernelTimer) -> None:
        """The step's result, and the operations it ran as kernels of the CPU."""
        now = self._now()
        # Who was aborted meanwhile is no longer followed, and gained nothing.
        members = [self._followed.get(each.sequence.request_id) for each in plan.shares]
        self._recorder.step_done(
            self._step,
            emitted=[
                int(each.samples and member is not None)
                for each, member in zip(plan.shares, members, strict=True)
            ],
            execute_ns=execute_ns,
            at_ns=now,
        )
        for each, member in zip(plan.shares, members, strict=True):
            if member is not None:
                member.got_result(each, now)
        self._recorder.kernels(
            self._step,
            source="cpu",
            device="cpu:0",
            names=kernels.names,
            name_index=kernels.name_index,
            start_ns=kernels.start_ns,
            duration_ns=kernels.duration_ns,
        )

    def first_output(self, sequence: Sequence) -> None:
        """TTFT_engine ends here."""
        followed = self._followed.get(sequence.request_id)
        # The core may have ended the request meanwhile, on an error or when it stops.
        if followed is not None:
            followed.handle.first_output()

    def finished(self, sequence: Sequence, error_type: str | None = None) -> None:
        """The end, with its outcome; a second call finds no handle and tells nothing."""
        followed = self._followed.pop(sequence.request_id, None)
        if followed is not None:
            followed.ended(sequence, error_type)

    def close(self) -> None:
        """Close the journal."""
        self._recorder.close()

    def _of(self, sequence: Sequence) -> Followed:
        return self._followed[sequence.request_id]


def _outcome(sequence: Sequence, error_type: str | None) -> RequestOutcome:
    if error_type is not None:
        return "failed"
    return "cancelled" if sequence.finish_reason == "abort" else "finished"
