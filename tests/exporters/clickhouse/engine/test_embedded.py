"""The embedded engine: ownership, sessions, errors, limits and deduplication."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.errors import EngineError
from tests.waiting import until


def test_a_second_owner_is_told_who_has_the_directory(engine: Engine) -> None:
    """The error names the directory, the owner's role and pid, and what to do."""
    with pytest.raises(StoreError) as taken:
        Engine(engine.data_dir)
    assert str(engine.data_dir) in str(taken.value)
    assert "pid" in str(taken.value)
    assert "--data-dir" in str(taken.value)


def test_a_killed_owner_frees_the_directory(tmp_path: Path) -> None:
    """The lock is the kernel's: nothing is left to clean up after SIGKILL."""
    held = (
        "import sys; from pathlib import Path;"
        "from otel_llm.exporters.clickhouse.engine.lock import DirectoryLock;"
        f"lock = DirectoryLock(Path({str(tmp_path)!r}), 'other'); print('held', flush=True);"
        "sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    from otel_llm.exporters.clickhouse.engine.lock import DirectoryLock

    with pytest.raises(StoreError, match=rf"other \(pid {owner.pid}\)"):
        DirectoryLock(tmp_path, "me")
    owner.kill()
    owner.communicate()
    DirectoryLock(tmp_path, "me").release()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the way gives an error with its path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Engine(tmp_path / "file" / "data")


def test_private_files_are_private(engine: Engine) -> None:
    """Nobody else reads the data directory."""
    assert engine.data_dir.stat().st_mode & 0o077 == 0


def test_settings_do_not_leak_between_sessions(engine: Engine) -> None:
    """Each session starts with the engine's own settings and database."""
    with engine.session("system") as first:
        first.set({"max_threads": "1", "max_result_rows": "5"})
        assert first.run("SELECT currentDatabase()") == b"system\n"
    with engine.session() as second:
        assert second.run("SELECT getSetting('max_result_rows')") == b"0\n"
        assert second.run("SELECT currentDatabase()") == b"otel\n"


def test_times_are_utc_whatever_the_host_says(engine: Engine) -> None:
    """Times without a zone are written and read as UTC."""
    with engine.session() as handle:
        assert handle.run("SELECT timezone(), toDateTime(0)") == b"UTC\t1970-01-01 00:00:00\n"


def test_errors_carry_number_and_name(engine: Engine) -> None:
    """ClickHouse's own number and name come through, and the status a server would send."""
    with engine.session() as handle, pytest.raises(EngineError) as error:
        handle.run("SELECT * FROM nowhere")
    assert (error.value.code, error.value.name) == (60, "UNKNOWN_TABLE")
    assert error.value.http_status == 404


def test_text_that_is_no_clickhouse_error_is_kept() -> None:
    """An error without a number still says what it said."""
    error = EngineError.parse("something else")
    assert (error.code, error.detail) == (1002, "something else")


@pytest.mark.parametrize("name", ["max_threads = 1, readonly", "Max", "", "a;b", "a\n"])
def test_setting_names_are_names(engine: Engine, name: str) -> None:
    """A setting's name goes into a statement, so it may hold nothing but a name."""
    with engine.session() as handle, pytest.raises(EngineError, match="Unknown setting"):
        handle.set({name: "1"})


@pytest.mark.parametrize("database", ["x`; SELECT 1", "x\\", "", "no_such"])
def test_database_names_cannot_break_out(engine: Engine, database: str) -> None:
    """A database's name is quoted; an unknown one is an error."""
    with pytest.raises(EngineError):
        engine.handle(database)


def test_a_query_over_the_memory_limit_fails_alone(engine: Engine) -> None:
    """A query that wants too much memory is refused, and the next one works."""
    with engine.session() as handle:
        handle.set({"max_memory_usage": "20000000", "max_bytes_before_external_group_by": "0"})
        with pytest.raises(EngineError) as error:
            handle.run("SELECT groupArray(number) FROM numbers(10000000)")
        assert error.value.name == "MEMORY_LIMIT_EXCEEDED"
        assert handle.run("SELECT 1") == b"1\n"


def test_sessions_run_at_the_same_time(engine: Engine) -> None:
    """Sessions in threads wait together, not one after the other: the engine sees them at once."""
    seen = threading.Event()

    def wait() -> None:
        with engine.session() as handle:
            while not seen.is_set():
                handle.run("SELECT sleep(0.1)")

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        with engine.session() as handle:
            until(lambda: int(handle.run("SELECT count() FROM system.processes")) == 5)
    finally:
        seen.set()
        for thread in threads:
            thread.join()


def test_a_block_sent_twice_is_stored_once_in_views_too(engine: Engine) -> None:
    """The same token twice leaves one block in the table and one in what a view fills."""
    rows = b'{"TraceId": "a", "Timestamp": "2026-01-01 00:00:00"}\n' * 3
    with engine.session() as handle:
        for token in ("dedup-1", "dedup-1", "dedup-2"):
            handle.set({"insert_deduplication_token": token})
            handle.insert("INSERT INTO otel_traces (TraceId, Timestamp)", "JSONEachRow", rows)
        counted = handle.run(
            "SELECT (SELECT count() FROM otel_traces WHERE TraceId = 'a'),"
            " (SELECT count() FROM otel_traces_trace_id_ts WHERE TraceId = 'a')"
        )
    assert counted == b"6\t2\n"


def test_an_engine_opens_again_with_what_it_held(tmp_path: Path) -> None:
    """Closing frees the directory; what was stored is there after opening it again."""
    script = (
        "import sys; from pathlib import Path;"
        "from otel_llm.exporters.clickhouse.engine import Engine;"
        f"engine = Engine(Path({str(tmp_path)!r}));\n"
        "with engine.session() as h:\n"
        "    h.run('CREATE TABLE IF NOT EXISTS k (a Int8) ENGINE = MergeTree ORDER BY a')\n"
        "    h.run('INSERT INTO k SELECT 1')\n"
        "    print(h.run('SELECT count() FROM k').decode().strip())\n"
        "engine.close()\n"
    )
    for expected in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.strip() == expected


@pytest.mark.parametrize(
    ("create", "data", "name"),
    [
        ("(t Int64, CONSTRAINT c CHECK t < 5) ENGINE = MergeTree ORDER BY t", b"1\n7\n",
         "VIOLATED_CONSTRAINT"),
        ("(t Int64) ENGINE = MergeTree ORDER BY t PARTITION BY t",
         b"".join(b"%d\n" % n for n in range(150)), "TOO_MANY_PARTS"),
        ("(t Int64) ENGINE = MergeTree ORDER BY t", b"text\n", "INCORRECT_DATA"),
        ("(t Int64) ENGINE = MergeTree ORDER BY t", b"1\n2", ""),
    ],
)  # fmt: skip
def test_what_is_not_stored_is_never_acknowledged(
    engine: Engine, create: str, data: bytes, name: str
) -> None:
    """An insert that fails while parsing or while writing raises, and stores nothing."""
    with engine.session() as handle:
        handle.run(f"CREATE TABLE acknowledged {create}")
        try:
            if name:
                with pytest.raises(EngineError) as error:
                    handle.insert("INSERT INTO acknowledged", "CSV", data)
                assert error.value.name == name
                assert "/proc/" not in str(error.value)
            else:
                assert handle.insert("INSERT INTO acknowledged", "CSV", data) == 2
            stored = handle.run("SELECT count() FROM acknowledged")
            assert stored == (b"0\n" if name else b"2\n")
        finally:
            handle.run("DROP TABLE acknowledged SYNC")


def test_a_view_that_fails_fails_the_insert(engine: Engine) -> None:
    """Rows that a dependent view could not take are not acknowledged."""
    with engine.session() as handle:
        handle.run("CREATE TABLE seen (t Int64) ENGINE = MergeTree ORDER BY t")
        handle.run("CREATE TABLE made (t Int64) ENGINE = MergeTree ORDER BY t")
        made = "SELECT toInt64(throwIf(t = 7)) AS t FROM seen"
        handle.run(f"CREATE MATERIALIZED VIEW making TO made AS {made}")
        with pytest.raises(EngineError, match="throwIf"):
            handle.insert("INSERT INTO seen", "CSV", b"7\n")
