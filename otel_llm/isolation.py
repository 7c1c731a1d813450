"""The one place that swallows an error, so that telemetry never harms its host.

Every hook runs inside a `Guard`. What a guard swallows is counted by place, reported to the guard's
owner (the journal's header, for hooks) and logged once per place by type and line; an error's
message may hold prompt text and is not logged. `BaseException` passes through: a cancellation or an
interrupt belongs to the host.
"""

import functools
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Observer = Callable[[str, Exception], None]

_counts: dict[str, int] = {}
_lock = threading.RLock()
_observers: list[Observer] = []


class Guard:
    """Swallows `Exception` inside its block. Holds no state of a block: share it among threads.

    As a context manager::

        with guard:
            read_numbers_of_the_host()

    As a decorator, the wrapped function returns None where it failed; a coroutine function needs
    the block inside instead. Where 0.4 us count, once per
    engine step, the block stands in a `try` whose `except Exception` calls `swallow` at once.

    Args:
        place: name of the hook, for counts and the log.
        on_swallow: called once per swallowed error, for example `Journal.count_swallowed`.
    """

    __slots__ = ("_on_swallow", "place")

    def __init__(self, place: str, on_swallow: Callable[[], None] | None = None) -> None:
        self.place = place
        self._on_swallow = on_swallow

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        """Swallow an `Exception`, count it, and let anything else pass."""
        if not isinstance(error, Exception):
            return False
        self.swallow(error)
        return True

    def swallow(self, error: Exception) -> None:
        """Count, report and log an error that goes no further."""
        with _lock:
            first = self.place not in _counts
            _counts[self.place] = _counts.get(self.place, 0) + 1
        if self._on_swallow is not None:
            self._on_swallow()
        if first:
            _log(self.place, error)
        for observer in _observers:
            observer(self.place, error)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R | None]:
        """Guard every call of `function`."""

        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R | None:
            with self:
                return function(*args, **kwargs)
            return None

        return guarded


def salvage(guard: Guard, make: Callable[[list[T]], R], items: list[T]) -> tuple[R | None, int]:
    """Make one thing of many items: of all, else of those of which it can be made alone.

    Args:
        guard: swallows what `make` raises, of all and of each.
        make: makes it; never returns None.
        items: what it is made of.

    Returns:
        What was made, None if nothing could be; and how many items were left out.
    """
    made = guard(make)(items)
    if made is not None:
        return made, 0
    good = [item for item in items if guard(make)([item]) is not None]
    made = guard(make)(good) if good else None
    return made, len(items) - (0 if made is None else len(good))


def counts() -> dict[str, int]:
    """How many errors were swallowed since the process began, by place."""
    return dict(_counts)


def observe(observer: Observer) -> Callable[[], None]:
    """Call `observer(place, error)` for every swallowed error; what it raises reaches the host.

    For tests: an observer that raises makes every guard loud.

    Returns:
        A function that takes the observer out again.
    """
    _observers.append(observer)
    return lambda: _observers.remove(observer)


def _log(place: str, error: Exception) -> None:
    import logging  # costs several milliseconds that a healthy engine need not pay

    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = "an unknown line"
    if traceback is not None:
        where = f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
    logging.getLogger("otel_llm").warning(
        "%s failed with %s at %s. The host goes on with less telemetry; "
        "further failures here are counted, not logged.",
        place,
        type(error).__name__,
        where,
    )


def _new_lock() -> None:
    global _lock  # noqa: PLW0603  another thread may have held it when the process forked
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_new_lock)
