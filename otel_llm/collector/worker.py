"""A thread that somebody hears of when it ends by an error."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

_log = logging.getLogger(__name__)


class Worker:
    """A thread that works until it is told to end.

    Args:
        name: the thread's.
        work: what it runs.

    Attributes:
        name: as given.
        ended: done when the thread has ended; has the error, if it ended by one.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.name = name
        self.ended: Future[None] = Future()
        self.ended.set_running_or_notify_cancel()
        self._work = work
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def at_work(self) -> bool:
        """Whether it was started and has not ended."""
        return self._thread.is_alive()

    def join(self, limit_s: float | None = None) -> bool:
        """Wait for the end, for `limit_s` at most. Returns whether it came."""
        self._thread.join(limit_s)
        return not self.at_work

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  it goes to whoever waits for the end
            _log.critical("The thread %s ended by an error", self.name, exc_info=True)
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)
