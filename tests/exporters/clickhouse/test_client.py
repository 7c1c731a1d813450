"""Finding and asking the store."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from otel_llm.collector.stack import Stack
from otel_llm.errors import SettingError, StoreError
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.client import connect
from otel_llm.exporters.clickhouse.writer import insert_arrow_block


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """A client over HTTP, found by the run file."""
    with closing(connect(data_dir=str(Path(stack.run.token_file).parent))) as client:
        yield client


def test_the_running_stack_is_found(client: Client, stack: Stack) -> None:
    """With the data directory alone, URL and token come from the run file."""
    assert client.uri == stack.run.clickhouse_url
    assert client.command("SELECT currentDatabase()") == "otel"


def test_a_url_needs_a_token(stack: Stack) -> None:
    """A URL alone is enough for the stack of the given directory, else the token is needed."""
    data_dir = str(Path(stack.run.token_file).parent)
    with closing(connect(stack.run.clickhouse_url, data_dir=data_dir)) as client:
        assert client.command("SELECT 1") == 1
    with pytest.raises(StoreError, match="516"):
        connect(stack.run.clickhouse_url, "wrong", data_dir)


def test_nothing_there_says_what_to_do(tmp_path: Path) -> None:
    """Without a running stack or data, the error says how to get one."""
    with pytest.raises(StoreError, match=r"Start `otel-llm up`, or give --url or --data-dir"):
        connect(data_dir=str(tmp_path))


def test_a_dead_url_is_named(tmp_path: Path) -> None:
    """A URL where nothing listens is in the error."""
    with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:9 cannot be used"):
        connect("http://127.0.0.1:9", "x", str(tmp_path))


@pytest.mark.parametrize("url", ["127.0.0.1:8123", "ftp://x", "http://", "clickhouse"])
def test_a_url_that_is_none_is_a_wrong_setting(tmp_path: Path, url: str) -> None:
    """The error names the setting and shows a right one."""
    with pytest.raises(SettingError, match="clickhouse_url"):
        connect(url, data_dir=str(tmp_path))


TYPES: list[tuple[str, Any]] = [
    ("toUInt8(255)", 255),
    ("toInt64(-9)", -9),
    ("1.5", 1.5),
    ("'tökst'", "tökst"),
    ("toLowCardinality('low')", "low"),
    ("toNullable(1)", 1),
    ("CAST(NULL, 'Nullable(String)')", None),
    ("toLowCardinality(toNullable('x'))", "x"),
    ("[1, 2]", [1, 2]),
    ("CAST(['a'], 'Array(LowCardinality(String))')", ["a"]),
    ("CAST(map('a', 'b'), 'Map(LowCardinality(String), String)')", {"a": "b"}),
    ("(1, 'a', [('x', 2)])", (1, "a", [("x", 2)])),
    ("true", True),
    ("toFixedString('ab', 2)", b"ab"),
    ("toDateTime64('2026-01-02 03:04:05.123456', 6, 'UTC')",
     datetime(2026, 1, 2, 3, 4, 5, 123456)),  # noqa: DTZ001  as the driver gives it
]  # fmt: skip


@pytest.mark.parametrize(("sql", "value"), TYPES, ids=[sql for sql, _ in TYPES])
def test_values_of_every_type_come_back(client: Client, sql: str, value: object) -> None:
    """The driver reads Native blocks of the interface as it reads a server's."""
    rows = client.query(f"SELECT {sql}, number FROM numbers(3)").result_rows
    assert rows == [(value, 0), (value, 1), (value, 2)]


def test_many_blocks_come_back_whole(client: Client) -> None:
    """A result of many blocks, computed by several threads, is complete."""
    rows = client.query("SELECT number, toString(number) FROM numbers(300000)").result_rows
    assert len(rows) == 300_000
    sql = "SELECT number % 10 AS k, count() FROM numbers(100000) GROUP BY k ORDER BY k"
    assert client.query(sql).result_rows == [(k, 10_000) for k in range(10)]
    assert client.query("SELECT 1 WHERE 0").result_rows == []


def test_streams_and_arrow(client: Client) -> None:
    """Row streams, Arrow tables and raw formats work over the interface."""
    with client.query_rows_stream("SELECT number FROM numbers(200000)") as stream:
        assert sum(row[0] for row in stream) == 199_999 * 100_000
    table = client.query_arrow("SELECT number AS n FROM numbers(5)")
    assert table["n"].to_pylist() == [0, 1, 2, 3, 4]
    assert client.raw_query("SELECT 1 AS a", fmt="JSONEachRow") == b'{"a":1}\n'


def test_parameters_are_bound(client: Client) -> None:
    """Server-side parameters, with everything that needs escaping; long ones too."""
    given = {"a": "it's \\ \n\t ünï", "b": [1, 2], "c": "x" * 100_000}
    sql = "SELECT {a:String}, {b:Array(Int32)}, length({c:String})"
    assert client.query(sql, parameters=given).result_rows == [
        ("it's \\ \n\t ünï", [1, 2], 100_000)
    ]


def test_an_error_in_mid_stream_is_an_error(client: Client) -> None:
    """The driver raises what broke a stream, in place of returning a part of the rows."""
    from clickhouse_connect.driver.exceptions import StreamFailureError

    sql = "SELECT number, throwIf(number = 500000) FROM numbers(1000000)"
    with client.query_rows_stream(sql) as stream, pytest.raises(StreamFailureError, match="395"):
        for _ in stream:
            pass


@pytest.mark.parametrize("compression", [None, "lz4", "zstd", "gzip"])
def test_rows_are_inserted(client: Client, stack: Stack, compression: str | None) -> None:
    """Native inserts of the driver, with each compression it knows."""
    with closing(connect(stack.run.clickhouse_url, stack.run.token)) as writer:
        writer.write_compression = compression
        event = f"native-{compression}"
        rows = [[event, str(n), [n, n + 1]] for n in range(1000)]
        columns = ["event", "instance_id", "steps_in_flight"]
        writer.insert("llm_engine_events", rows, column_names=columns)
    sql = "SELECT count(), uniqExact(instance_id), sum(arraySum(steps_in_flight))"
    sql += " FROM llm_engine_events WHERE event = {e:String}"
    assert client.query(sql, parameters={"e": event}).result_rows == [(1000, 1000, 1_000_000)]


def block(event: str, count: int = 3) -> bytes:
    """Rows of llm_engine_events as an Arrow stream."""
    table = pa.table({"event": [event] * count, "instance_id": [str(n) for n in range(count)]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def test_a_block_sent_again_is_stored_once(client: Client) -> None:
    """Identical bytes with an identical token, sent three times, are stored once."""
    for _ in range(3):
        insert_arrow_block(client, "llm_engine_events", block("again"), "token-again")
    insert_arrow_block(client, "llm_engine_events", block("again"), "token-other")
    sql = "SELECT count() FROM llm_engine_events WHERE event = 'again'"
    assert client.command(sql) == 6


def test_a_refused_block_says_why(client: Client) -> None:
    """A block for a table that is not there, or of other columns, is an error with its cause."""
    for table in ("nowhere", "llm_steps"):
        with pytest.raises(StoreError, match=f"A block for {table} was refused") as refused:
            insert_arrow_block(client, table, block("x"), "t")
        assert refused.value.__cause__ is not None


def test_the_schema_can_be_checked_over_http(client: Client) -> None:
    """`schema apply` and `schema check` work through the door."""
    assert schema.pending(client) == ()
    assert schema.apply(client) == ()
