"""Sessions: they exist, end, and run one statement at a time."""

import pytest

from otel_llm.exporters.clickhouse.errors import EngineError
from otel_llm.exporters.clickhouse.interface import sessions as module
from otel_llm.exporters.clickhouse.interface.sessions import SessionAsk, Sessions


class Clock:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        """The time it was moved to."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock of the test's own."""
    return Clock()


def code(sessions: Sessions, ask: SessionAsk) -> int:
    """The number of the error at entering."""
    with pytest.raises(EngineError) as caught:
        sessions.enter(ask)
    return caught.value.code


def test_one_statement_at_a_time(clock: Clock) -> None:
    """A second statement in a session is refused, in another session or of another user it runs."""
    sessions = Sessions(clock)
    ask = SessionAsk(("user", "a"))
    sessions.enter(ask)
    assert code(sessions, ask) == 373
    sessions.enter(SessionAsk(("user", "b")))
    sessions.enter(SessionAsk(("other", "a")))
    sessions.leave(ask)
    sessions.enter(ask)


def test_a_session_ends(clock: Clock) -> None:
    """`session_check` finds a session until its time after the last statement is over."""
    sessions = Sessions(clock)
    check = SessionAsk(("user", "a"), timeout_s=10, must_exist=True)
    assert code(sessions, check) == 372
    sessions.enter(check._replace(must_exist=False))
    clock.now = 100.0
    sessions.leave(check)
    clock.now = 109.0
    sessions.enter(check)
    sessions.leave(check)
    clock.now = 120.0
    assert code(sessions, check) == 372


def test_there_is_a_bound(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """New sessions are refused past it; those that are there go on."""
    monkeypatch.setattr(module, "_MOST", 1)
    sessions = Sessions(clock)
    ask = SessionAsk(("user", "a"))
    sessions.enter(ask)
    sessions.leave(ask)
    assert code(sessions, SessionAsk(("user", "b"))) == 202
    sessions.enter(ask)
