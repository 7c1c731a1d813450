"""The engine loop, in its own thread: schedule, compute, sample, deliver.

The API server's thread submits and aborts under the lock; the model runs outside of it. An abort
takes effect when the step in flight has its result, which is then thrown away for who was aborted.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable

from otel_llm.demo.engine.call import Call, Output
from otel_llm.demo.engine.config import EngineConfig
from otel_llm.demo.engine.events import EngineEvents
from otel_llm.demo.engine.executor import Executor
from otel_llm.demo.engine.scheduler import Plan, Scheduler
from otel_llm.demo.engine.sequence import Sequence

logger = logging.getLogger(__name__)

Deliveries = list[tuple[Call, Output]]
Post = Callable[[Callable[[Deliveries], None], Deliveries], object]


class EngineDeadError(Exception):
    """A step failed earlier; the engine takes no more calls."""


class EngineCore:
    """Scheduler and model, driven by one thread.

    Args:
        config: the engine.
        events: observer of what happens.

    Attributes:
        failure: the class name of the error that ended the engine; None while it lives.
    """

    def __init__(self, config: EngineConfig, events: EngineEvents) -> None:
        self._events = events
        self._executor = Executor(config)
        self._scheduler = Scheduler(config.scheduler)
        self._wake = threading.Condition()
        self._calls: dict[Sequence, tuple[Call, int]] = {}
        self._aborts: list[Sequence] = []
        self._stopping = False
        self._post: Post = lambda deliver, outputs: deliver(outputs)
        self._thread = threading.Thread(target=self._run, name="engine-core", daemon=True)
        self.failure: str | None = None

    def start(self, post: Post) -> None:
        """Start the loop. `post` brings outputs to the thread that owns the calls' queues."""
        self._post = post
        self._thread.start()

    def stop(self) -> None:
        """Abort whatever is unfinished, end the loop and wait for it."""
        with self._wake:
            self._stopping = True
            self._aborts += self._calls
            self._wake.notify()
        self._thread.join()

    def submit(self, call: Call) -> None:
        """Queue a call's sequences.

        Raises:
            QueueFullError: the queue has no room for them; none was queued.
            EngineDeadError: the engine has failed.
        """
        with self._wake:
            if self.failure is not None:
                raise EngineDeadError(self.failure)
            self._scheduler.add(call.sequences)
            self._calls.update((each, (call, index)) for index, each in enumerate(call.sequences))
            self._events.arrived(call)
            self._wake.notify()

    def abort(self, sequences: Iterable[Sequence]) -> None:
        """End sequences whose caller has gone, before they gain another token."""
        with self._wake:
            self._aborts += sequences
            self._wake.notify()

    def _run(self) -> None:
        try:
            while (plan := self._next_plan()) is not None:
                self._step(plan)
        except Exception as error:
            logger.exception("The engine failed and takes no more calls")
            self._die(error)

    def _next_plan(self) -> Plan | None:
        """Wait for work and schedule it; None when stopping."""
        with self._wake:
            while True:
                self._apply_aborts()
                if self._stopping:
                    return None
                if self._scheduler.has_work:
                    return self._scheduler.schedule()
                self._wake.wait()

    def _apply_aborts(self) -> None:
        for sequence in self._aborts:
            self._scheduler.abort(sequence)
            self._calls.pop(sequence, None)
            self._events.finished(sequence)
        self._aborts.clear()

    def _step(self, plan: Plan) -> None:
        self._events.scheduled(plan)
        started = time.monotonic_ns()
        tokens = self._executor.run(plan)
        execute_ns = time.monotonic_ns() - started
        with self._wake:
            self._apply_aborts()
            gained = self._scheduler.complete(plan, tokens)
            deliveries = [self._delivery(sequence) for sequence in gained]
        self._events.done(plan, execute_ns, self._executor.timer)
        if deliveries:
            self._post(_deliver, deliveries)

    def _delivery(self, sequence: Sequence) -> tuple[Call, Output]:
        call, index = self._calls[sequence]
        if sequence.finish_reason is not None:
            del self._calls[sequence]
        return call, Output(index, sequence.tokens[-1], sequence.finish_reason)

    def _die(self, error: Exception) -> None:
        """Fail every unfinished sequence and refuse new ones."""
        with self._wake:
            self.failure = type(error).__name__
            lost, self._calls = self._calls, {}
        for sequence in lost:
            self._events.finished(sequence, self.failure)
        self._post(_deliver, [(call, Output(each, None, "error")) for call, each in lost.values()])


def _deliver(deliveries: Deliveries) -> None:
    for call, output in deliveries:
        call.outputs.put_nowait(output)
