"""The public API: what an engine calls to be seen. See `docs/instrument-your-engine.md`.

Every method copies numbers that the engine already has into the journal and returns. None raises,
blocks on anything but another hook's copy, starts a thread or opens a socket.
"""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import cast

from otel_llm.clock import SYSTEM_CLOCK, Clock, MonotonicNs
from otel_llm.facts.kernel import KernelSource, StepKernels
from otel_llm.facts.request import RequestArrived, RequestFinished, RequestOutcome
from otel_llm.facts.shape import ServedShape
from otel_llm.facts.step import StepDone, StepScheduled
from otel_llm.isolation import Guard
from otel_llm.journal.records import Record
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.settings import Settings

Write = Callable[[Record], None]
"""How a handle writes: `Journal.write`."""


class Recorder:
    """Records one engine instance. Thread-safe. Make one per engine process.

    Args:
        journal: where the facts go.
        clock: source of the stamps that the caller does not give.
    """

    def __init__(self, journal: Journal, clock: Clock = SYSTEM_CLOCK) -> None:
        self.journal = journal
        self._now: Callable[[], MonotonicNs] = clock.monotonic_ns
        if type(clock) is Clock:  # the machine's own: leave out the detour through Python
            self._now = cast("Callable[[], MonotonicNs]", time.monotonic_ns)
        self._write = journal.write
        self._request_numbers = itertools.count(1)
        self._step_numbers = itertools.count(1)
        swallowed = journal.count_swallowed
        self._guard_arrived = Guard("recorder.request_arrived", swallowed)
        self._guard_request = Guard("recorder.request", swallowed)
        self._guard_scheduled = Guard("recorder.step_scheduled", swallowed)
        self._guard_done = Guard("recorder.step_done", swallowed)
        self._guard_kernels = Guard("recorder.kernels", swallowed)

    @classmethod
    def open(
        cls,
        *,
        engine: str,
        engine_version: str,
        model: str = "",
        service: str = "",
        dp_rank: int = 0,
        left_out: Sequence[str] = (),
        devices: Sequence[str] = (),
        ranks: int = 0,
        model_source: str = "",
        model_revision: str = "",
        shape: ServedShape | None = None,
        settings: Settings | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> "Recorder":
        """Open a recorder with a journal of its own. Never raises; see `open_journal`.

        Args:
            engine: the engine's name.
            engine_version: its version.
            model: the served model.
            service: name of the deployment; the engine's name if empty.
            dp_rank: data-parallel rank, from 0.
            left_out: hooks that are not in place, as `name: reason`.
            devices: UUIDs of the engine's devices on this node, one per rank, in order of rank.
            ranks: workers that the engine has on devices, on all nodes.
            model_source: the model's folder or its name on Hugging Face, for its version.
            model_revision: branch, tag or commit of it that was asked for.
            shape: of the served model, so that energy can be shared by work; None if not known.
            settings: the process's settings if None.
            clock: source of stamps and anchors.
        """
        journal = open_journal(
            kind="engine",
            service=service or engine,
            engine=engine,
            engine_version=engine_version,
            model=model,
            dp_rank=dp_rank,
            left_out=left_out,
            devices=devices,
            ranks=ranks,
            model_source=model_source,
            model_revision=model_revision,
            shape=shape,
            settings=settings,
            clock=clock,
        )
        return cls(journal, clock)

    def request_arrived(
        self,
        *,
        request_id: str,
        api_request_id: str,
        operation: str,
        model: str,
        prompt_tokens: int,
        max_tokens: int | None = None,
        sample_index: int = 0,
        sample_count: int = 1,
        traceparent: str | None = None,
        tracestate: str | None = None,
        arrival_ns: MonotonicNs | None = None,
        frontend: str = "",
        lora: str = "",
    ) -> "RequestHandle":
        """Record that the API server accepted a request. The arguments are `RequestArrived`'s.

        Returns:
            The request's handle. Keep it with the request and report its life to it.
        """
        index = next(self._request_numbers)
        with self._guard_arrived:
            record = RequestArrived(
                index,
                _text(request_id),
                _text(api_request_id),
                _text(operation),
                _text(model),
                self._now() if arrival_ns is None else arrival_ns,
                prompt_tokens,
                max_tokens,
                sample_index,
                sample_count,
                None if traceparent is None else _text(traceparent),
                None if tracestate is None else _text(tracestate),
                frontend,
                _text(lora),
            )
            self._write(record)
        return RequestHandle(index, self._write, self._now, self._guard_request)

    def step_scheduled(
        self,
        *,
        request_index: list[int],
        phase: bytes | Sequence[int],
        tokens: list[int],
        context: list[int],
        running: int = 0,
        waiting: int = 0,
        kv_used: int = 0,
        kv_total: int = 0,
        drafts: list[int] | None = None,
        at_ns: MonotonicNs | None = None,
    ) -> int:
        """Record a batch as it was scheduled. The arguments are `StepScheduled`'s.

        Args:
            request_index: `handle.index` of each member, as plain ints.
            phase: PHASE_PREFILL or PHASE_DECODE of each member; bytes are fastest.
            tokens: tokens scheduled for each member.
            context: tokens of each member computed before this step.
            running: requests running, this batch included.
            waiting: requests waiting.
            kv_used: KV-cache blocks in use.
            kv_total: KV-cache blocks there are.
            drafts: of `tokens`, how many are speculative; None if none is.
            at_ns: when the scheduler decided; now if None.

        Returns:
            The step's number, for `step_done` and `kernels`.
        """
        seq = next(self._step_numbers)
        try:
            now = self._now()
            batch = len(request_index)
            if not batch == len(phase) == len(tokens) == len(context):
                message = "request_index, phase, tokens and context differ in length"
                raise ValueError(message)
            if type(phase) is not bytes:
                phase = bytes(phase)
            self._write(
                StepScheduled(
                    seq, now if at_ns is None else at_ns, request_index, phase, tokens, context,
                    running, waiting, kv_used, kv_total, drafts or [],
                ),
                now,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001  see `Guard`: this hook is in every step
            self._guard_scheduled.swallow(error)
        return seq

    def step_done(
        self,
        seq: int,
        emitted: list[int] | None = None,
        execute_ns: int | None = None,
        at_ns: MonotonicNs | None = None,
        accepted: list[int] | None = None,
        cudagraph_mode: str = "",
    ) -> None:
        """Record that a step's result is in.

        Args:
            seq: what `step_scheduled` returned.
            emitted: output tokens each member gained, in the order of the batch; None: not told.
            execute_ns: CPU time around the model's execution, in nanoseconds.
            at_ns: when the result was in; now if None.
            accepted: speculative tokens accepted of each member; None if none was proposed.
            cudagraph_mode: how it ran on CUDA graphs, in the engine's words.
        """
        try:
            now = self._now()
            stamp = now if at_ns is None else at_ns
            self._write(
                StepDone(seq, stamp, emitted or [], execute_ns, accepted or [], cudagraph_mode), now
            )
        except Exception as error:  # noqa: BLE001  see `Guard`: this hook is in every step
            self._guard_done.swallow(error)

    def kernels(
        self,
        seq: int,
        *,
        source: KernelSource,
        device: str,
        names: Sequence[str],
        name_index: Sequence[int],
        start_ns: Sequence[int],
        duration_ns: Sequence[int],
    ) -> None:
        """Record the kernels of a step, in order of start.

        Args:
            seq: what `step_scheduled` returned; 0 for launches outside any step.
            source: who measured.
            device: the device's name.
            names: the distinct names.
            name_index: index into `names` of each kernel.
            start_ns: start of each, in monotonic nanoseconds.
            duration_ns: duration of each, in nanoseconds.
        """
        with self._guard_kernels:
            if not len(name_index) == len(start_ns) == len(duration_ns):
                message = "name_index, start_ns and duration_ns differ in length"
                raise ValueError(message)
            if not start_ns:
                return
            base = start_ns[0]
            offsets = [start - base for start in start_ns]
            self._write(
                StepKernels(
                    seq, source, device, list(names), list(name_index),
                    MonotonicNs(base), offsets, list(duration_ns),
                )
            )  # fmt: skip

    def close(self) -> None:
        """Close the journal on purpose. Without it the agent takes the engine for dead."""
        self.journal.close()


class RequestHandle:
    """One request's life. Each method stamps the present moment unless told another.

    Attributes:
        index: the request's number; steps name it by this.
    """

    __slots__ = (
        "_cached_tokens", "_discarded_tokens", "_first_output_ns", "_first_token_ns", "_guard",
        "_now", "_once", "_preemptions", "_queued_ns", "_recomputed_tokens", "_rejected_tokens",
        "_scheduled_ns", "_write", "index",
    )  # fmt: skip

    def __init__(
        self, index: int, write: Write, now: Callable[[], MonotonicNs], guard: Guard
    ) -> None:
        self.index = index
        self._write = write
        self._now = now
        self._guard = guard
        self._queued_ns: MonotonicNs | None = None
        self._scheduled_ns: MonotonicNs | None = None
        self._first_token_ns: MonotonicNs | None = None
        self._first_output_ns: MonotonicNs | None = None
        self._cached_tokens = self._recomputed_tokens = self._preemptions = 0
        self._rejected_tokens = self._discarded_tokens = 0
        self._once = threading.Lock()

    def queued(self, at_ns: MonotonicNs | None = None) -> None:
        """It entered the scheduler's queue."""
        with self._guard:
            if self._queued_ns is None:
                self._queued_ns = self._now() if at_ns is None else at_ns

    def scheduled(self, cached_tokens: int = 0, at_ns: MonotonicNs | None = None) -> None:
        """A step includes it for the first time; later calls change nothing.

        Args:
            cached_tokens: prompt tokens served from the prefix cache.
            at_ns: when; now if None.
        """
        with self._guard:
            if self._scheduled_ns is None:
                self._scheduled_ns = self._now() if at_ns is None else at_ns
                self._cached_tokens = cached_tokens

    def preempted(self) -> None:
        """It lost its place in the batch, and what it had computed."""
        with self._guard:
            self._preemptions += 1

    def recomputed(self, tokens: int) -> None:
        """A step includes so many tokens that an earlier step had computed for it."""
        with self._guard:
            self._recomputed_tokens += tokens

    def resumed(self, cached_tokens: int = 0) -> None:
        """A step takes it in again after a preemption.

        Args:
            cached_tokens: tokens served from the prefix cache beyond those it had computed itself.
        """
        with self._guard:
            self._cached_tokens += cached_tokens

    def rejected(self, tokens: int) -> None:
        """So many of its speculative tokens were computed and rejected."""
        with self._guard:
            self._rejected_tokens += tokens

    def discarded(self, tokens: int) -> None:
        """The results of so many of its scheduled tokens past the prompt were thrown away."""
        with self._guard:
            self._discarded_tokens += tokens

    def first_token(self, at_ns: MonotonicNs | None = None) -> None:
        """The step that made its first token has its result; later calls change nothing."""
        with self._guard:
            if self._first_token_ns is None:
                self._first_token_ns = self._now() if at_ns is None else at_ns

    def first_output(self, at_ns: MonotonicNs | None = None) -> None:
        """The API server handled its first output: TTFT_engine ends; later calls change nothing."""
        with self._guard:
            if self._first_output_ns is None:
                self._first_output_ns = self._now() if at_ns is None else at_ns

    def finished(
        self,
        *,
        outcome: RequestOutcome,
        finish_reason: str,
        output_tokens: int,
        last_token_ns: MonotonicNs | None = None,
        error_type: str | None = None,
        unscheduled_tokens: int = 0,
        at_ns: MonotonicNs | None = None,
    ) -> None:
        """Record the request's end, with all stamps and counts. Only the first call counts.

        Args:
            outcome: `finished`, `cancelled` by the caller, or `failed`.
            finish_reason: `stop`, `length`, `abort`, or the engine's own word.
            output_tokens: tokens generated.
            last_token_ns: the result of the step that made the last token was in.
            error_type: short class of the error, never its message.
            unscheduled_tokens: prompt tokens that no step had included.
            at_ns: when the engine let go of it; now if None.
        """
        with self._guard:
            if not self._once.acquire(blocking=False):
                return
            self._write(
                RequestFinished(
                    self.index,
                    outcome,
                    _text(finish_reason),
                    self._now() if at_ns is None else at_ns,
                    self._queued_ns,
                    self._scheduled_ns,
                    self._first_token_ns,
                    self._first_output_ns,
                    last_token_ns,
                    self._cached_tokens,
                    output_tokens,
                    self._recomputed_tokens,
                    self._preemptions,
                    None if error_type is None else _text(error_type),
                    self._rejected_tokens,
                    self._discarded_tokens,
                    unscheduled_tokens,
                )
            )


def _text(value: str) -> str:
    """Make a text encodable; a lone surrogate must not cost its record."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
