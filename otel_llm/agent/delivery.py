"""One thread per sink: the oldest batch is sent until it is acknowledged, then the next.

A sink that is away holds up its own batches alone. Reading goes on, and the spool's bound says how
much is kept for it.
"""

import gc
import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import Protocol

from otel_llm.agent.spool import Batch, SinkName, Spool
from otel_llm.backoff import chance, wait_s
from otel_llm.conventions import Metrics

IDLE_WAIT_S = 0.5
FAILURE_REASONS = (
    "unreachable", "timeout", "throttled", "server_error", "misconfigured", "unexpected", "state",
)  # fmt: skip

_log = logging.getLogger("otel_llm.agent")


class AwayError(Exception):
    """The sink did not take the batch and may later.

    Attributes:
        reason: one of FAILURE_REASONS.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class RefusedError(Exception):
    """The sink will never take this batch."""


class Sink(Protocol):
    """Somebody who takes batches."""

    name: SinkName

    def send(self, batch: Batch) -> int:
        """Deliver a batch.

        Returns:
            How many of its items the sink says it will not keep.

        Raises:
            AwayError: try again.
            RefusedError: do not.
        """

    def close(self) -> None:
        """Let go of connections."""


class DeliveryObserver(Protocol):
    """Is told what became of batches."""

    def delivered(self, batch: Batch, refused: int) -> None:
        """It was acknowledged, but for `refused` of its items."""

    def refused(self, batch: Batch) -> None:
        """It was refused for good, and is lost."""

    def failed(self, sink: SinkName, reason: str) -> None:
        """A try failed; it is tried again."""


class Delivery:
    """Sends one sink's batches from a thread of its own.

    Args:
        sink: who takes them.
        spool: where they wait.
        observer: is told of every outcome.
        jitter: gives a number from 0 to 1, so that agents do not come back all at once.
    """

    def __init__(
        self,
        sink: Sink,
        spool: Spool,
        observer: DeliveryObserver,
        jitter: Callable[[], float] = chance,
    ) -> None:
        self._sink = sink
        self._spool = spool
        self._observer = observer
        self._jitter = jitter
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._failures = 0
        self._told = False
        self._leaves_cycles = False
        self._thread = threading.Thread(target=self._run, name=f"to-{sink.name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new."""
        self._wake.set()

    def stop(self) -> None:
        """Deliver what is left while the sink takes it, then end; see `join`."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end, `timeout_s` seconds at most. What is left stays in the spool."""
        self._thread.join(timeout_s)

    def deliver_one(self) -> bool:
        """Try the oldest batch.

        Returns:
            Whether it is worth going on at once.
        """
        goes_on = self._try_oldest()
        if self._leaves_cycles:
            self._leaves_cycles = False
            # HTTP clients keep errors in frames that they went through, and so the batch's bytes.
            # By itself Python looks for cycles seldom in the agent; these are young.
            gc.collect(1)
        return goes_on

    def _try_oldest(self) -> bool:
        try:
            batch = self._spool.oldest(self._sink.name)
            return batch is not None and self._deliver(batch)
        except sqlite3.Error as error:
            self._failed("state", f"the spool cannot be used: {error}")
            return False
        except Exception as error:  # noqa: BLE001  without its thread a sink gets nothing more
            self._failed("unexpected", unexpected(error))
            return False

    def _run(self) -> None:
        while True:
            if self.deliver_one():
                continue
            if self._stopping.is_set():
                self._sink.close()
                return
            self._wait()

    def _wait(self) -> None:
        """Until something is new; after a failure, longer each time."""
        if not self._failures:
            self._wake.wait(IDLE_WAIT_S)
            self._wake.clear()
            return
        self._stopping.wait(wait_s(self._failures, self._jitter()))

    def _deliver(self, batch: Batch) -> bool:
        try:
            refused = self._sink.send(batch)
        except AwayError as error:
            self._spool.release(batch)
            self._failed(error.reason, str(error))
            return False
        except RefusedError as error:
            self._spool.remove(batch)
            self._leaves_cycles = True
            self._observer.refused(batch)
            _log.error(
                "%s refused %d items for %s for good: %s",
                self._sink.name, batch.items, batch.target, error,
            )  # fmt: skip
        except Exception:
            self._spool.release(batch)
            raise
        else:
            self._spool.remove(batch)
            self._observer.delivered(batch, refused)
            self._tell(batch, refused)
        if self._failures:
            _log.info("%s takes batches again", self._sink.name)
        self._failures = 0
        return True

    def _tell(self, batch: Batch, refused: int) -> None:
        """Log the first time that a sink keeps a part of a batch alone; all times are counted."""
        if refused and not self._told:
            self._told = True
            _log.warning(
                "%s did not keep %d of %d items for %s, and they are lost; now %s alone tells",
                self._sink.name, refused, batch.items, batch.target, Metrics.LOST_RECORDS.name,
            )  # fmt: skip

    def _failed(self, reason: str, detail: str) -> None:
        self._failures += 1
        self._leaves_cycles = True
        self._observer.failed(self._sink.name, reason)
        if self._failures == 1:
            _log.warning("%s: %s; trying again", self._sink.name, detail)


def unexpected(error: Exception) -> str:
    """An error by its type alone: the text of some holds a header, and so a token."""
    return f"unexpected {type(error).__module__}.{type(error).__qualname__}"
