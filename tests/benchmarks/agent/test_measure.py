"""How the agent is watched under a load."""

import subprocess
import time
from typing import Any

import pytest

from benchmarks.agent import measure


class Writer:
    """Ends within the second of its second wait."""

    def __init__(self) -> None:
        self.waits = 0

    def poll(self) -> int | None:
        """As a process's."""
        return 0 if self.waits == 2 else None

    def wait(self, timeout: float) -> None:
        """As a process's."""
        self.waits += 1
        if self.waits < 2:
            raise subprocess.TimeoutExpired("load", timeout)


def test_the_end_of_the_load_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the agent is behind counts from there: no second slept is taken off it."""
    writer: Any = Writer()
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("slept"))
    assert len(list(measure._paces(writer))) == 2
