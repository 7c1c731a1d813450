"""A whole stack in processes of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm.demo.reference import OPTIONS
from otel_llm.demo.stack import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """The demo's processes, serving."""
    made = Stack(tmp_path, max_in_flight=200)
    try:
        made.start(dict.fromkeys(made.engine_names, OPTIONS))
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.journal_dir, ignore_errors=True)
