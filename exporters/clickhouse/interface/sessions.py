"""Sessions of ClickHouse's HTTP interface: `session_id`, `session_timeout`, `session_check`.

A session of a server keeps settings, the current database and temporary tables. The door lets no
SET, USE or CREATE TEMPORARY pass, so here a session keeps nothing; what clients rely on is that it
exists, that it ends, and that one statement runs in it at a time.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple

from otel_llm.exporters.clickhouse.errors import EngineError

LONGEST_S = 3600
DEFAULT_S = 60
_MOST = 10_000


class SessionAsk(NamedTuple):
    """What a request says of its session.

    Attributes:
        name: user and `session_id`; the same id of two users is two sessions.
        timeout_s: how long the session lives on after this request, in seconds.
        must_exist: whether it is an error if there is none.
    """

    name: tuple[str, str]
    timeout_s: int = DEFAULT_S
    must_exist: bool = False


class Sessions:
    """The sessions there are. Thread-safe.

    Args:
        now: monotonic time in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._ends: dict[tuple[str, str], float] = {}
        self._busy: set[tuple[str, str]] = set()

    def enter(self, ask: SessionAsk) -> None:
        """Begin a statement in a session; `leave` has to follow.

        Raises:
            EngineError: 372 if it should exist and does not, 373 if a statement runs in it, 202 if
                there are too many sessions.
        """
        with self._lock:
            self._forget()
            if ask.name in self._busy:
                detail = f"Session {ask.name[1]} is locked by a concurrent client"
                raise EngineError(373, detail, "SESSION_IS_LOCKED")
            if ask.must_exist and ask.name not in self._ends:
                raise EngineError(372, f"Session {ask.name[1]} not found", "SESSION_NOT_FOUND")
            if len(self._ends) >= _MOST and ask.name not in self._ends:
                raise EngineError(202, "Too many sessions", "TOO_MANY_SIMULTANEOUS_QUERIES")
            self._busy.add(ask.name)
            self._ends[ask.name] = self._now() + ask.timeout_s

    def leave(self, ask: SessionAsk) -> None:
        """End a statement; the session's time begins anew."""
        with self._lock:
            self._busy.discard(ask.name)
            self._ends[ask.name] = self._now() + ask.timeout_s

    def _forget(self) -> None:
        """Drop the sessions whose time is over."""
        now = self._now()
        over = [name for name, end in self._ends.items() if end < now and name not in self._busy]
        for name in over:
            del self._ends[name]
