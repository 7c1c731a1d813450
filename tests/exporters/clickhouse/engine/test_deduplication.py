"""The deduplication logs after a kill: what they say is stored, is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.engine.deduplication import mend

TABLE = """CREATE TABLE t (a UInt64, d Date) ENGINE = MergeTree PARTITION BY d ORDER BY a
SETTINGS non_replicated_deduplication_window = 100"""


def insert(engine: Engine, token: str) -> None:
    """One row with a token."""
    with engine.session() as handle:
        handle.set({"insert_deduplication_token": token})
        handle.run("INSERT INTO t VALUES (1, '2026-01-01')")


def count(engine: Engine) -> int:
    """Rows of the table."""
    with engine.session() as handle:
        return int(handle.run("SELECT count() FROM t"))


def opened(tmp_path: Path, use: Callable[[Engine], object]) -> None:
    """Open the engine, use it, close it."""
    engine = Engine(tmp_path)
    try:
        use(engine)
    finally:
        engine.close()


def prepare(engine: Engine) -> None:
    """A table with two rows of two tokens."""
    with engine.session() as handle:
        handle.run(TABLE)
    insert(engine, "first")
    insert(engine, "second")


def log_of(tmp_path: Path) -> Path:
    """The table's deduplication log."""
    (log,) = tmp_path.glob("clickhouse/store/*/*/deduplication_logs/*.txt")
    return log


def test_a_block_whose_part_never_came_is_stored_when_sent_again(tmp_path: Path) -> None:
    """Killed between log entry and part: the retry is not dropped; the other block still is."""
    opened(tmp_path, prepare)
    shutil.rmtree(log_of(tmp_path).parents[1] / "20260101_2_2_0")

    def again(engine: Engine) -> None:
        assert count(engine) == 1
        insert(engine, "first")
        insert(engine, "second")
        assert count(engine) == 2
        insert(engine, "second")
        assert count(engine) == 2

    opened(tmp_path, again)


def test_a_merged_part_still_counts_as_stored(tmp_path: Path) -> None:
    """The parts of the entries are gone, the one they were merged into is there."""

    def merge(engine: Engine) -> None:
        prepare(engine)
        with engine.session() as handle:
            handle.run("OPTIMIZE TABLE t FINAL")

    opened(tmp_path, merge)
    table = log_of(tmp_path).parents[1]
    for old in ("20260101_1_1_0", "20260101_2_2_0"):
        shutil.rmtree(table / old)
    assert mend(tmp_path / "clickhouse") == 0

    def again(engine: Engine) -> None:
        insert(engine, "first")
        assert count(engine) == 2

    opened(tmp_path, again)


@pytest.mark.parametrize("tail", ["1\t20260101_9", "1"])
def test_a_line_cut_short_hides_nothing(tmp_path: Path, tail: str) -> None:
    """A torn last line goes; what is written after it is read again."""
    opened(tmp_path, prepare)
    with log_of(tmp_path).open("a") as log:
        log.write(tail)
    opened(tmp_path, lambda engine: insert(engine, "third"))

    def again(engine: Engine) -> None:
        insert(engine, "third")
        assert count(engine) == 3

    opened(tmp_path, again)
