"""Journals that nobody reads do not pile up; those that somebody writes or reads stay."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from otel_llm.agent.lock import LOCK_NAME, AgentLock
from otel_llm.journal.directory import scan
from otel_llm.journal.writer import Journal

OpenJournal = Callable[..., Journal]
PathOf = Callable[[Journal], Path]


def _dead(open_small: OpenJournal, path_of: PathOf, count: int) -> list[Path]:
    """Closed journals, the oldest first."""
    paths = []
    for age in range(count, 0, -1):
        journal = open_small()
        path = path_of(journal)
        journal.close()
        os.utime(path, (10_000 - age, 10_000 - age))
        paths.append(path)
    return paths


def test_the_oldest_dead_journals_go(
    open_small: OpenJournal, path_of: PathOf, journal_dir: Path
) -> None:
    """However often an engine starts and ends, four dead journals stay besides the new one."""
    dead = _dead(open_small, path_of, 9)
    last = path_of(open_small())
    assert scan(journal_dir) == sorted([*dead[-4:], last])


def test_a_journal_being_written_stays(
    open_small: OpenJournal, path_of: PathOf, journal_dir: Path
) -> None:
    """Live journals neither count nor go, however old."""
    live = [path_of(open_small()) for _ in range(6)]
    for path in live:
        os.utime(path, (1, 1))
    dead = _dead(open_small, path_of, 4)
    last = path_of(open_small())
    assert scan(journal_dir) == sorted([*live, *dead, last])


@contextmanager
def _agent(journal_dir: Path) -> Iterator[None]:
    lock = AgentLock(journal_dir, "journal_dir")
    yield
    lock.release()


def test_an_agent_reads_them_out_first(
    open_small: OpenJournal,
    path_of: PathOf,
    journal_dir: Path,
) -> None:
    """While an agent runs, removing is its task: it knows what it has read."""
    dead = _dead(open_small, path_of, 4)
    with _agent(journal_dir):
        dead += _dead(open_small, path_of, 4)
        assert scan(journal_dir) == sorted(dead)
    open_small()
    assert len(scan(journal_dir)) == 5


def test_an_agents_file_without_an_agent(
    open_small: OpenJournal, path_of: PathOf, journal_dir: Path
) -> None:
    """The lock file that an agent leaves behind keeps nothing; nor is it a journal."""
    oldest = _dead(open_small, path_of, 1)
    os.utime(oldest[0], (1, 1))
    (journal_dir / LOCK_NAME).touch()
    (journal_dir / "notes.journal").touch()
    _dead(open_small, path_of, 6)
    open_small()
    assert not oldest[0].exists()
    assert (journal_dir / LOCK_NAME).exists()
    assert (journal_dir / "notes.journal").exists()
