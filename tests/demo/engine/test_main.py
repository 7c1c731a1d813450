"""The engine as a process: its ready line, its journal, its end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from otel_llm.journal.reader import JournalReader
from tests.waiting import PATIENCE_S

COMMAND = [sys.executable, "-m", "otel_llm.demo.engine"]


def test_it_serves_where_its_ready_line_says_and_closes_its_journal(tmp_path: Path) -> None:
    """Port 0 becomes a real port; SIGTERM ends it with a journal closed on purpose."""
    command = [*COMMAND, "--port", "0", "--name", "engine-a", "--max-waiting", "9"]
    environment = {**os.environ, "OTEL_LLM_JOURNAL_DIR": str(tmp_path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["ready"], ready["name"], ready["pid"]) == (True, "engine-a", process.pid)
        url = ready["url"]
        assert url == f"http://127.0.0.1:{ready['port']}"
        assert httpx.get(f"{url}/health").status_code == 200
        body = {"model": ready["model"], "prompt": "hi", "max_tokens": 2}
        assert httpx.post(f"{url}/v1/completions", json=body, timeout=PATIENCE_S).status_code == 200
        # The server's and the core's: BLAS has one thread, and telemetry none of its own.
        assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 2
        process.send_signal(signal.SIGTERM)
        # uvicorn shuts down in order, then dies of the signal, as a supervisor expects.
        assert process.wait(PATIENCE_S) == -signal.SIGTERM
    finally:
        process.kill()
        process.communicate()
    [journal] = tmp_path.glob("*.journal")
    reader = JournalReader.open(journal)
    assert reader.producer.service == "engine-a"
    assert reader.counters.clean_close
    reader.close()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--blocks", "0"], "blocks is 0"),
        (["--max-model-len", "99999"], "max_model_len is 99999"),
        (["--fail-window", "5:2"], "START:END"),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], word: str) -> None:
    """Exit status 2, and a message that says what is wrong."""
    result = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert result.returncode == 2
    assert word in result.stderr
