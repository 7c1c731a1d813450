"""Fixtures of the journal's tests: small journals in a directory of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_llm.clock import Clock
from otel_llm.journal.directory import journal_name
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock

OpenJournal = Callable[..., Journal]


@pytest.fixture
def journal_dir(tmp_path: Path) -> Path:
    """A private directory, not yet made."""
    return tmp_path / "journals"


@pytest.fixture
def open_small(journal_dir: Path, clock: FakeClock) -> Iterator[OpenJournal]:
    """Opens journals of 64 KiB; `settings` and `clock` may be changed."""
    opened: list[Journal] = []

    def open_one(clock: Clock = clock, **settings: object) -> Journal:
        values = {"journal_dir": str(journal_dir), "journal_bytes": 65536, **settings}
        journal = open_journal(
            kind="engine",
            service="engine-a",
            engine="reference",
            engine_version="1.2.3",
            model="tiny",
            settings=Settings(**values),  # type: ignore[arg-type]
            clock=clock,
        )
        opened.append(journal)
        return journal

    yield open_one
    for journal in opened:
        journal.close()


@pytest.fixture
def journal(open_small: OpenJournal) -> Journal:
    """An open journal of 64 KiB."""
    return open_small()


@pytest.fixture
def path_of(journal_dir: Path) -> Callable[[Journal], Path]:
    """Tells a journal's file."""

    def path(journal: Journal) -> Path:
        return journal_dir / journal_name(journal.producer.kind, journal.producer.instance_id)

    return path
