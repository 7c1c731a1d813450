"""A demo that is stopped, or killed, leaves nothing running."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.stack.harness import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_stopped_demo_leaves_no_process(tmp_path: Path, how: signal.Signals) -> None:
    """Store, agent, engines and gateway end with the demo, whatever ended it."""
    command = [sys.executable, "-m", "otel_llm.cli.main", "demo", "--dir", tmp_path / "d"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        itself = psutil.Process(demo.pid)
        wait_for(lambda: len(itself.children()) == 5, "five processes")
        children = itself.children()
        demo.send_signal(how)
        wait_for(lambda: not any(child.is_running() for child in children), "nothing running")
