"""Writers that are killed, fork, or race a reader in another process."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from otel_llm.facts import StepDone
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader

WRITERS = Path(__file__).with_name("writers.py")


def run(*arguments: str) -> dict[str, Any]:
    """Run a program of `writers.py`; its last line is its result."""
    command = [sys.executable, str(WRITERS), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_writers(tmp_path: Path, seed: int) -> None:
    """After SIGKILL at any moment all whole records are read, none altered, losses exact."""
    outcome = run("kill", str(tmp_path / "j"), "40", str(seed))
    assert outcome["killed"] == 40
    assert outcome["wrong"] == 0
    assert outcome["received"]


def test_interrupted_writes(tmp_path: Path) -> None:
    """Wherever in a write a signal handler raises, the journal stays whole and other threads go on.

    With the lock taken outside the block that lets go of it, some ten interrupts left it locked.
    """
    outcome = run("interrupt", str(tmp_path / "j"), "3000")
    assert outcome == {"returned": True, "last": [8], "corrupt": 0, "dropped": 0}


def test_fork(tmp_path: Path) -> None:
    """A forked child writes to a file of its own; the parent's journal and lock are unharmed."""
    found = run("fork", str(tmp_path / "j"))
    expected = {"alive": True, "service": "s", "steps": [1, 2], "swallowed": 0}
    assert found["parent"] == expected
    assert found["child"] == expected | {"alive": False, "steps": [10, 11], "swallowed": 1}


@pytest.mark.parametrize(("way", "clean"), [("in order", 1), ("error", 1), ("at once", 0)])
def test_exit_closes(tmp_path: Path, way: str, clean: int) -> None:
    """An interpreter that ends in order closes its journal; one that is torn away does not."""
    folder = tmp_path / "j"
    subprocess.run([sys.executable, str(WRITERS), "leave", str(folder), way], check=False)
    reader = JournalReader.open(scan(folder)[0])
    assert not reader.is_alive()
    assert reader.counters.clean_close == bool(clean)
    assert len(reader.read()) == 2
    reader.close()


@pytest.mark.parametrize("pause_s", [0.0, 0.004])
def test_wrap_around_under_load(tmp_path: Path, pause_s: float) -> None:
    """A reader racing a writer that laps it gets only true records; the rest is counted."""
    folder = tmp_path / "j"
    count = 60_000
    command = [sys.executable, str(WRITERS), "write", str(folder), str(count)]
    with subprocess.Popen(command) as writer:
        deadline = time.monotonic() + 60
        while not scan(folder):
            assert time.monotonic() < deadline
        reader = JournalReader.open(scan(folder)[0])
        received = anchors = last = 0
        alive = True
        while alive:
            alive = reader.is_alive()
            while fresh := reader.read():
                for record in fresh:
                    if isinstance(record, StepDone):
                        assert record.emitted == [record.seq % 251] * (record.seq * 37 % 600)
                        assert record.seq == record.execute_ns == record.result_ns > last
                        last = record.seq
                        received += 1
                    else:
                        anchors += 1
            assert time.monotonic() < deadline
            time.sleep(pause_s)  # a slower reader is lapped more often
        assert writer.wait() == 0
    assert last == count
    assert reader.lost.corrupt == reader.lost.undecodable == 0
    assert received + anchors + reader.lost.overwritten == reader.cursor.seq - 1
    assert reader.cursor.seq - 1 >= count
    assert reader.counters.clean_close
    if pause_s:
        assert reader.lost.overwritten > 0
    reader.close()
