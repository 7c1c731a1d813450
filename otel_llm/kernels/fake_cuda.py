"""`torch.cuda` without a GPU: one stream on a simulated clock, exact to the nanosecond.

For tests and demonstrations of `cuda_events`. Work is done in order, each piece after the one
before it and not before it was launched; an event happens when all work launched before it is done.
"""

from collections.abc import Callable

from otel_llm.clock import MonotonicNs


class FakeEvent:
    """`torch.cuda.Event`.

    Attributes:
        at_ns: when it happens; None before it was recorded.
        timed: whether it can be measured from.
    """

    def __init__(self, cuda: "FakeCuda", *, timed: bool) -> None:
        self._cuda = cuda
        self.timed = timed
        self.at_ns: int | None = None

    def record(self) -> None:
        """Put it behind what was launched; in a capture it would become part of the graph.

        Raises:
            RuntimeError: a graph is being captured.
        """
        if self._cuda.capturing:
            message = "CUDA error: operation not permitted when stream is capturing"
            raise RuntimeError(message)
        self.at_ns = max(self._cuda.now(), self._cuda.busy_until_ns)

    def query(self) -> bool:
        """Whether it has happened; also where it was never recorded, as with CUDA."""
        return self.at_ns is None or self._cuda.now() >= self.at_ns

    def elapsed_time(self, end_event: "FakeEvent") -> float:
        """To another event, in milliseconds.

        Raises:
            RuntimeError: one of the two is not timed, was not recorded or has not happened.
        """
        ends = (self.at_ns, end_event.at_ns)
        ready = self.query() and end_event.query() and self.timed and end_event.timed
        if not ready or ends[0] is None or ends[1] is None:
            message = "CUDA error: device not ready"
            raise RuntimeError(message)
        return (ends[1] - ends[0]) / 1e6


class FakeCuda:
    """The module.

    Args:
        now: the host's clock, in nanoseconds; the device's runs beside it.

    Attributes:
        busy_until_ns: all that was launched is done then.
        capturing: a graph is being captured.
    """

    def __init__(self, now: Callable[[], MonotonicNs]) -> None:
        self.now = now
        self.busy_until_ns = 0
        self.capturing = False

    def Event(self, enable_timing: bool = False) -> FakeEvent:  # noqa: N802  torch's name
        """A new event."""
        return FakeEvent(self, timed=enable_timing)

    def is_current_stream_capturing(self) -> bool:
        """Whether a graph is being captured."""
        return self.capturing

    def launch(self, took_ns: int) -> None:
        """Launch work that takes so long."""
        self.busy_until_ns = max(self.now(), self.busy_until_ns) + took_ns
