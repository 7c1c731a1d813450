"""The gateway's SDK stops in bounded time."""

import logging
import threading

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_llm.demo.gateway import spans
from tests.waiting import PATIENCE_S


class _Slow(TracerProvider):
    """A provider whose shutdown waits until it may go on."""

    def __init__(self) -> None:
        super().__init__(shutdown_on_exit=False)
        self.go = threading.Event()
        self.done = threading.Event()

    def shutdown(self) -> None:
        """Wait."""
        self.go.wait(PATIENCE_S)
        self.done.set()


def test_flush_is_waited_for() -> None:
    """A shutdown that ends in time is waited for."""
    provider = _Slow()
    provider.go.set()
    spans.shut_down(provider)
    assert provider.done.is_set()


def test_flush_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A shutdown that hangs is left behind, and the loss is told."""
    monkeypatch.setattr(spans, "FLUSH_LIMIT_S", 0.05)
    provider = _Slow()
    with caplog.at_level(logging.WARNING, "otel_llm"):
        spans.shut_down(provider)
    assert not provider.done.is_set()
    assert "not delivered" in caplog.text
    provider.go.set()
    assert provider.done.wait(PATIENCE_S)
