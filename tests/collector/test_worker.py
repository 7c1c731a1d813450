"""Threads whose end is told."""

import logging
import threading

import pytest

from otel_llm.collector.worker import Worker


def test_an_end_by_an_error_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """The future has the error, and the log its traceback."""

    def fails() -> None:
        raise KeyError("nobody thought of this")

    worker = Worker("w", fails)
    worker.start()
    with pytest.raises(KeyError, match="nobody thought"):
        worker.ended.result(10)
    assert worker.join(10)
    [record] = caplog.records
    assert record.levelno == logging.CRITICAL
    assert record.exc_info is not None


def test_an_end_as_wanted_is_no_error() -> None:
    """And a limit to waiting is one."""
    go = threading.Event()
    worker = Worker("w", lambda: go.wait(20) and None)
    worker.start()
    assert not worker.join(0.01)
    assert not worker.ended.done()
    go.set()
    worker.ended.result(10)
    assert worker.join(10)
