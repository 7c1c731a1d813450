"""What the engine tells whoever observes it. The engine runs on these no-ops alone."""

from otel_llm.demo.engine.call import Call
from otel_llm.demo.engine.scheduler import Plan
from otel_llm.demo.engine.sequence import Sequence
from otel_llm.demo.engine.timing import KernelTimer


class EngineEvents:
    """Observer of the engine; `telemetry.py` has the one that records."""

    def arrived(self, call: Call) -> None:
        """The API server accepted a call and queued its sequences."""

    def scheduled(self, plan: Plan) -> None:
        """A step was decided: who came in or came back, who lost its place, what the batch is."""

    def done(self, plan: Plan, execute_ns: int, kernels: KernelTimer) -> None:
        """A step's result is in: `execute_ns` nanoseconds around the model, operation by operation.

        Sampled tokens are already appended to their sequences. Sequences that were aborted since
        the step was decided have gained none, and `finished` was told of them before.
        """

    def first_output(self, sequence: Sequence) -> None:
        """The API server handled a sequence's first output."""

    def finished(self, sequence: Sequence, error_type: str | None = None) -> None:
        """The engine is done with a sequence. May be called again; only the first counts."""

    def close(self) -> None:
        """The engine stops."""
