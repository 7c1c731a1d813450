"""What the demo's processes are checked for before the replay."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm.demo.child import DemoError
from otel_llm.demo.stack import Stack
from otel_llm.facts.producer import ProducerKind
from otel_llm.journal.writer import open_journal
from otel_llm.settings import Settings, load


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """The demo's stack, not started."""
    made = Stack(tmp_path)
    yield made
    shutil.rmtree(made.journal_dir)


def write(kind: ProducerKind, settings: Settings) -> None:
    """Leave a journal behind."""
    open_journal(kind=kind, service="s", engine="e", engine_version="1", settings=settings).close()


def test_engines_without_hooks_are_noticed_before_the_replay(stack: Stack) -> None:
    """Each engine must have a journal; those of API servers and gateways do not count."""
    settings = load(journal_dir=stack.journal_dir, journal_bytes=1 << 20)
    kinds: tuple[ProducerKind, ...] = ("frontend", "gateway", "engine")
    for kind in kinds:
        write(kind, settings)
        with pytest.raises(DemoError, match="hooks are off"):
            stack._check_hooks()
    write("engine", settings)
    stack._check_hooks()
