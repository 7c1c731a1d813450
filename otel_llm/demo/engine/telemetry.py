"""The engine's instrumentation: its events, told to an `otel_llm.recorder.Recorder`.

This is all that an engine adds to be followed; `docs/instrument-your-engine.md` walks through it.
"""

from dataclasses import dataclass

from otel_llm.clock import SYSTEM_CLOCK, Clock, MonotonicNs
from otel_llm.demo.engine.call import Call
from otel_llm.demo.engine.config import EngineConfig
from otel_llm.demo.engine.events import EngineEvents
from otel_llm.demo.engine.scheduler import Plan
from otel_llm.demo.engine.sequence import Sequence
from otel_llm.demo.engine.timing import KernelTimer
from otel_llm.facts.request import RequestOutcome
from otel_llm.recorder import Recorder, RequestHandle


@dataclass
class Followed:
    """A request's handle, and when it last got a token, in monotonic nanoseconds."""

    handle: RequestHandle
    last_token_ns: MonotonicNs | None = None


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
            self._followed[sequence.request_id] = Followed(handle)

    def scheduled(self, plan: Plan) -> None:
        """The batch, and what it changed for its members and for those it displaced."""
        now = self._now()
        for sequence, computed in plan.preempted:
            self._handle(sequence).preempted(recomputed_tokens=computed)
        for sequence in plan.admitted:
            self._handle(sequence).scheduled(cached_tokens=sequence.cached or 0, at_ns=now)
        self._step = self._recorder.step_scheduled(
            request_index=[self._handle(each.sequence).index for each in plan.shares],
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
        self._recorder.step_done(
            self._step,
            emitted=[int(each.samples) for each in plan.shares],
            execute_ns=execute_ns,
            at_ns=now,
        )
        for each in plan.shares:
            if each.samples:
                followed = self._followed[each.sequence.request_id]
                followed.handle.first_token(at_ns=now)  # only the first call counts
                followed.last_token_ns = now
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
            followed.handle.finished(
                outcome=_outcome(sequence, error_type),
                finish_reason=sequence.finish_reason or "error",
                output_tokens=sequence.output_tokens,
                last_token_ns=followed.last_token_ns,
                error_type=error_type,
            )

    def close(self) -> None:
        """Close the journal."""
        self._recorder.close()

    def _handle(self, sequence: Sequence) -> RequestHandle:
        return self._followed[sequence.request_id].handle


def _outcome(sequence: Sequence, error_type: str | None) -> RequestOutcome:
    if error_type is not None:
        return "failed"
    return "cancelled" if sequence.finish_reason == "abort" else "finished"
