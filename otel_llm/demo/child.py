"""One process of the demo: started, waited for, stopped, and never left behind."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otel_llm.errors import OtelLLMError
from otel_llm.settings import PREFIX

STOP_TIMEOUT_S = 20.0


class DemoError(OtelLLMError):
    """A process of the demo did not start, or died."""


def _die_with_parent() -> None:
    """Ask Linux to stop this process when the demo is killed and can stop nobody any more.

    Linux does so when the thread that started it ends: start processes in the main thread.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_PR_SET_PDEATHSIG = 1


class Child:
    """One process of ours, with its output in a file.

    Args:
        name: for messages and the log's file name.
        command: program and arguments.
        log_dir: where its log goes.
        environment: variables beside our own.
    """

    ready_timeout_s = 60.0
    poll_s = 0.05

    def __init__(
        self, name: str, command: Sequence[str], log_dir: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = log_dir / f"{name}.log"
        # Nothing of the user's own settings may lead the run elsewhere.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  no thread runs between fork and exec
                env={**inherited, **environment, "PYTHONUNBUFFERED": "1"},
                # A group of its own, so that nothing it started outlives it.
                start_new_session=True,
            )

    def ready(self) -> dict[str, Any]:
        """Wait until it serves, and return what it says of itself: its `url` at least.

        Raises:
            DemoError: it ended, or took longer than `ready_timeout_s`.
        """
        deadline = time.monotonic() + self.ready_timeout_s
        while time.monotonic() < deadline:
            told = self._told()
            if told is not None:
                return told
            if self.process.poll() is not None:
                raise DemoError(self._failure(f"ended with status {self.process.returncode}"))
            time.sleep(self.poll_s)
        raise DemoError(self._failure(f"was not ready after {self.ready_timeout_s:.0f} s"))

    def _told(self) -> dict[str, Any] | None:
        """The line in which it says where it listens; None if it has not."""
        for line in self.log.read_text(errors="replace").splitlines():
            if line.startswith('{"ready"'):
                told: dict[str, Any] = json.loads(line)
                return told
        return None

    def _failure(self, what: str) -> str:
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        return f"{self.name} {what}. The end of {self.log}:\n{tail}"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait; kill it if it does not end in time, and all that it leaves behind."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
