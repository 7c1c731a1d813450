"""Stores with the schema in them: copies of one that each test process makes once."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine


def prepare(data_dir: Path) -> None:
    """Put a store with the schema into an empty data directory, for whoever opens it next.

    Applying the schema takes a second of CPU, a copy some milliseconds. No other engine may be
    open in the process, as a process has one at a time.
    """
    data_dir.mkdir(mode=0o700, exist_ok=True)
    shutil.copytree(_original() / "clickhouse", data_dir / "clickhouse", symlinks=True)


@contextmanager
def opened(data_dir: Path, memory_bytes: int = 2 << 30) -> Iterator[Engine]:
    """An engine of a new store with the schema."""
    prepare(data_dir)
    with closing(Engine(data_dir, memory_bytes)) as engine:
        yield engine


@cache
def _original() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="otel-llm-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with closing(Engine(folder)) as engine, closing(engine.client()) as client:
        schema.apply(client)
    return folder
