"""What workers tell their core by notes beside the journals."""

import os
import time
from pathlib import Path

import pytest

from otel_llm.errors import JournalError
from otel_llm.journal import ranks
from otel_llm.journal.directory import scan
from otel_llm.settings import Settings

A, B = "a" * 32, "b" * 32


@pytest.fixture
def settings(journal_dir: Path) -> Settings:
    """Where the notes are."""
    return Settings(journal_dir=str(journal_dir), enabled=True)


def test_by_rank_and_only_once(settings: Settings, journal_dir: Path) -> None:
    """In order of rank, whoever was first; taken, they are gone, and no journal is seen in them."""
    for rank in (10, 0, 2):
        ranks.leave(A, rank, f"GPU-{rank}", settings)
    assert scan(journal_dir) == []
    assert list(ranks.collect(A, settings).items()) == [(0, "GPU-0"), (2, "GPU-2"), (10, "GPU-10")]
    assert ranks.collect(A, settings) == {}
    assert not list(journal_dir.iterdir())


def test_each_engine_takes_its_own(settings: Settings) -> None:
    """Notes of another engine stay for it."""
    ranks.leave(A, 0, "GPU-a", settings)
    ranks.leave(B, 0, "GPU-b", settings)
    assert ranks.collect(A, settings) == {0: "GPU-a"}
    assert ranks.collect(B, settings) == {0: "GPU-b"}


def test_a_worker_that_began_anew(settings: Settings) -> None:
    """Its later note counts."""
    ranks.leave(A, 0, "GPU-old", settings)
    ranks.leave(A, 0, "GPU-new", settings)
    assert ranks.collect(A, settings) == {0: "GPU-new"}


def test_notes_that_nobody_took(settings: Settings, journal_dir: Path) -> None:
    """An engine that fails to start again and again leaves no more than a day of notes."""
    ranks.leave(A, 0, "GPU-a", settings)
    ranks.leave(B, 0, "GPU-b", settings)
    (old,) = journal_dir.glob(f"rank-{A}-*")
    two_days = time.time() - 2 * 86_400
    os.utime(old, (two_days, two_days))
    dangling = journal_dir / f"rank-{A}-7.device"
    dangling.symlink_to("nowhere")
    os.utime(dangling, (two_days, two_days), follow_symlinks=False)
    ranks.leave(B, 1, "GPU-c", settings)
    assert ranks.collect(A, settings) == {}
    assert ranks.collect(B, settings) == {0: "GPU-b", 1: "GPU-c"}


@pytest.mark.parametrize(
    ("key", "rank", "device"),
    [("../x", 0, "GPU"), (A, -1, "GPU"), (A, 10**6, "GPU"), (A, 0, ""), (A, 0, "G" * 65)],
)
def test_what_makes_no_note(key: str, rank: int, device: str, settings: Settings) -> None:
    """Neither a path nor anything long gets into a file's name or text."""
    with pytest.raises(ValueError, match="no note can be made"):
        ranks.leave(key, rank, device, settings)


def test_a_link_is_not_followed(settings: Settings, journal_dir: Path, tmp_path: Path) -> None:
    """Neither is a file written through a link, nor one read."""
    target = tmp_path / "target"
    target.write_text("mine")
    ranks.leave(A, 1, "GPU-1", settings)
    (journal_dir / f"rank-{A}-0.device").symlink_to(target)
    ranks.leave(A, 0, "GPU-0", settings)
    assert target.read_text() == "mine"
    assert ranks.collect(A, settings) == {0: "GPU-0", 1: "GPU-1"}
    (journal_dir / f"rank-{B}-0.device").symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        ranks.collect(B, settings)


def test_a_long_or_broken_note_is_no_device(settings: Settings, journal_dir: Path) -> None:
    """What no worker of ours writes is taken away and not believed."""
    ranks.leave(A, 0, "GPU-0", settings)
    (journal_dir / f"rank-{A}-1.device").write_bytes(b"x" * 10_000)
    (journal_dir / f"rank-{A}-2.device").write_bytes(b"")
    assert ranks.collect(A, settings) == {0: "GPU-0"}
    assert not list(journal_dir.iterdir())


def test_a_directory_open_to_others_is_refused(settings: Settings, journal_dir: Path) -> None:
    """As for journals."""
    journal_dir.mkdir()
    journal_dir.chmod(0o777)
    with pytest.raises(JournalError):
        ranks.leave(A, 0, "GPU-0", settings)


def test_switched_off(journal_dir: Path) -> None:
    """Nothing is written, and no directory made."""
    off = Settings(journal_dir=str(journal_dir), enabled=False)
    ranks.leave(A, 0, "GPU-0", off)
    assert ranks.collect(A, off) == {}
    assert not journal_dir.exists()
