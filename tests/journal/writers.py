"""Programs that the tests run as processes of their own: `python writers.py NAME ARGUMENTS`.

Records are made so that a reader can tell an altered one: all of a record follows from its number.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from otel_llm.clock import MonotonicNs
from otel_llm.facts import StepDone
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.journal.records import Record
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.settings import Settings


def step(number: int) -> StepDone:
    """Record number `number`; sizes vary so that frames and the ring's end meet in every way."""
    return StepDone(number, MonotonicNs(number), [number % 251] * (number * 37 % 600), number)


def small_journal(folder: str) -> Journal:
    """A journal of 64 KiB."""
    settings = Settings(journal_dir=folder, journal_bytes=65536)
    return open_journal(
        kind="engine", service="s", engine="e", engine_version="1", settings=settings
    )


def true_steps(records: list[Record]) -> int:
    """How many steps there are; fails on any that is altered or out of order."""
    last = 0
    count = 0
    for record in records:
        if isinstance(record, StepDone):
            assert record == step(record.seq), record.seq
            assert record.seq > last
            last = record.seq
            count += 1
    return count


def write(folder: str, count: str) -> None:
    """Write records as fast as possible and close."""
    journal = small_journal(folder)
    for number in range(1, int(count) + 1):
        journal.write(step(number))
    journal.close()


def leave(folder: str, way: str) -> None:
    """Write a record and end without closing: in order, by an error, or at once."""
    small_journal(folder).write(step(1))
    if way == "error":
        raise SystemExit(3)
    if way == "at once":
        os._exit(0)


def kill(folder: str, times: str, seed: str) -> None:
    """Start writers, kill each at a random moment, and read what they leave."""
    chance = random.Random(int(seed))
    outcome = {"killed": 0, "received": 0, "overwritten": 0, "wrong": 0}
    for _ in range(int(times)):
        child = os.fork()
        if child == 0:
            journal = small_journal(folder)
            number = 0
            while True:
                number += 1
                journal.write(step(number))
        deadline = time.monotonic() + 60
        while not scan(Path(folder)):
            assert time.monotonic() < deadline, "the writer made no journal"
        (path,) = scan(Path(folder))
        reader = JournalReader.open(path)
        moment = time.monotonic() + chance.uniform(0, 0.008)
        seen = reader.read()
        while time.monotonic() < moment:
            seen += reader.read()
        assert reader.is_alive()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert not reader.is_alive()
        while fresh := reader.read():
            seen += fresh
        late = JournalReader.open(path)
        left = []
        while fresh := late.read():
            left += fresh
        true_steps(seen)
        true_steps(left)
        lost = reader.lost
        outcome["killed"] += 1
        outcome["received"] += len(seen)
        outcome["overwritten"] += lost.overwritten
        outcome["wrong"] += lost.corrupt + lost.undecodable + late.lost.corrupt
        outcome["wrong"] += len(seen) + lost.overwritten != reader.cursor.seq - 1
        outcome["wrong"] += len(left) + late.lost.overwritten != late.cursor.seq - 1
        outcome["wrong"] += late.cursor != reader.cursor or reader.counters.clean_close
        reader.close()
        late.close()
        path.unlink()
    sys.stdout.write(json.dumps(outcome))


def fork(folder: str) -> None:
    """Fork twice in the middle of writing: the children get journals of their own."""
    journal = small_journal(folder)
    journal.write(step(1))
    quiet = os.fork()
    if quiet == 0:
        os._exit(0)  # a child that writes nothing makes no file
    parent_id = journal.producer.instance_id
    writing = os.fork()
    if writing == 0:
        journal.write(step(10))
        journal.count_swallowed()
        assert journal.producer.instance_id != parent_id
        journal.write(step(11))
        os.kill(os.getpid(), signal.SIGKILL)
    statuses = [os.waitpid(child, 0)[1] for child in (quiet, writing)]
    assert statuses == [0, signal.SIGKILL], statuses
    journal.write(step(2))
    found = {}
    for path in scan(Path(folder)):
        reader = JournalReader.open(path)
        role = "parent" if reader.producer.instance_id == parent_id else "child"
        found[role] = {
            "steps": [record.seq for record in reader.read() if isinstance(record, StepDone)],
            "alive": reader.is_alive(),
            "swallowed": reader.counters.swallowed,
            "service": reader.producer.service,
        }
    sys.stdout.write(json.dumps(found))


class Interrupt(BaseException):
    """What a signal handler raises."""


def interrupt(folder: str, times: str) -> None:
    """Write while a signal handler raises so many times, then once more from another thread."""

    def handler(_number: int, _frame: object) -> None:
        raise Interrupt

    rng = random.Random(1)
    journal = small_journal(folder)
    reader = JournalReader.open(scan(Path(folder))[0])
    signal.signal(signal.SIGALRM, handler)
    raised = 0
    while raised < int(times):
        try:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 6e-5))
            while True:
                journal.write(step(7))
        except Interrupt:
            raised += 1
        reader.read()
    other = threading.Thread(target=journal.write, args=(step(8),), daemon=True)
    other.start()
    other.join(60)
    outcome = {
        "returned": not other.is_alive(),
        "last": [one.seq for one in reader.read() if isinstance(one, StepDone)][-1:],
        "corrupt": reader.lost.corrupt + reader.lost.undecodable,
        "dropped": reader.counters.dropped,
    }
    sys.stdout.write(json.dumps(outcome) + "\n")
    sys.stdout.flush()
    os._exit(0)  # an interpreter in order would wait for the lock to close the journal


if __name__ == "__main__":
    programs: dict[str, Callable[..., None]] = {
        "write": write, "leave": leave, "kill": kill, "fork": fork,
        "interrupt": interrupt,
    }  # fmt: skip
    programs[sys.argv[1]](*sys.argv[2:])
