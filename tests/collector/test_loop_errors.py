"""What the event loop complains of is logged, and not without end."""

import asyncio
import logging

import pytest

from otel_llm.collector import loop_errors
from otel_llm.collector.loop_errors import LoopErrors


def test_errors_of_one_kind_are_logged_once_in_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood makes one entry; the next tells how many there were; other kinds have their own."""
    loop = asyncio.new_event_loop()
    report = LoopErrors()
    flood = {"message": "cannot accept", "exception": OSError(24, "Too many open files")}
    with caplog.at_level(logging.ERROR):
        for _ in range(1000):
            report(loop, flood)
        report(loop, {"message": "other", "exception": KeyError("x")})
        monkeypatch.setattr(loop, "time", lambda: 1e12 + loop_errors.QUIET_S)
        report(loop, flood)
    loop.close()
    said = [record.getMessage().splitlines()[0] for record in caplog.records]
    assert said == ["cannot accept", "other", "cannot accept (and 999 OSError before)"]
