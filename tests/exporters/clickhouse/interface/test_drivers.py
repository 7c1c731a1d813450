"""What drivers need of the interface beyond statements: compression, sessions, users, bounds."""

import concurrent.futures
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import httpx
import pytest

from otel_llm.collector.stack import Stack
from otel_llm.exporters.clickhouse.interface.app import Bounds
from otel_llm.exporters.clickhouse.interface.framing import frame, unframe
from tests.waiting import PATIENCE_S, until

FRAMED = {"compress": "1"}
LONG = "SELECT sum(sipHash64(number)) FROM numbers(3000000)"
ENDLESS = "SELECT number FROM numbers(100000000000)"


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    """An HTTP client with user and token that accepts no compression unless told to."""
    auth = ("otel_llm", stack.run.token)
    plain = {"Accept-Encoding": "identity"}
    url = stack.run.clickhouse_url
    with httpx.Client(
        base_url=url, auth=auth, trust_env=False, headers=plain, timeout=60
    ) as client:
        yield client


@pytest.fixture
def reader(stack: Stack) -> Iterator[httpx.Client]:
    """An HTTP client of the user that may only read."""
    token = Path(stack.run.token_file).with_name("token_read").read_text().strip()
    auth = ("otel_llm_read", token)
    with httpx.Client(
        base_url=stack.run.clickhouse_url, auth=auth, trust_env=False, timeout=PATIENCE_S
    ) as client:
        yield client


def code(answer: httpx.Response) -> int:
    """ClickHouse's number in an error answer."""
    return int(answer.headers["X-ClickHouse-Exception-Code"])


def test_a_body_in_clickhouse_frames(http: httpx.Client) -> None:
    """The data of an INSERT, or a whole statement, comes in frames."""
    insert = "INSERT INTO llm_attempts (call_id) FORMAT CSV"
    given = {"query": insert, "decompress": "1"}
    assert http.post("/", params=given, content=frame(b"framed\n")).status_code == 200
    asked = b"SELECT count() FROM llm_attempts WHERE call_id = 'framed'"
    assert http.post("/", params={"decompress": "1"}, content=frame(asked)).text == "1\n"


def test_a_changed_frame_stores_nothing(http: httpx.Client) -> None:
    """A wrong hash is ClickHouse's error 40."""
    given = {"query": "INSERT INTO llm_attempts (call_id) FORMAT CSV", "decompress": "1"}
    broken = bytearray(frame(b"broken\n"))
    broken[-1] ^= 1
    assert code(http.post("/", params=given, content=bytes(broken))) == 40
    asked = {"query": "SELECT count() FROM llm_attempts WHERE call_id = 'broken'"}
    assert http.get("/", params=asked).text == "0\n"


def test_frames_are_bounded_as_any_body(http: httpx.Client) -> None:
    """413 if more comes out than a body may hold."""
    answer = http.post("/", params={"decompress": "1"}, content=frame(b"x" * (3 << 20)))
    assert answer.status_code == 413


def test_an_answer_in_clickhouse_frames(http: httpx.Client) -> None:
    """`compress=1` packs the result, and an error too; no Content-Encoding says so."""
    answer = http.post("/", params=FRAMED, content="SELECT number FROM numbers(3)")
    assert unframe(answer.content, 1 << 20) == b"0\n1\n2\n"
    assert "Content-Encoding" not in answer.headers
    failed = http.post("/", params=FRAMED, content="SELECT nope")
    assert (failed.status_code, code(failed)) == (404, 47)
    assert unframe(failed.content, 1 << 20).startswith(b"Code: 47. DB::Exception: ")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_answers_are_compressed_for_who_accepts_it(http: httpx.Client, encoding: str) -> None:
    """Accept-Encoding is followed, as ClickHouse 26 does, unless the URL turns it off."""
    wanted = {"Accept-Encoding": encoding}
    sql = "SELECT repeat('x', 100000)"
    answer = http.post("/", headers=wanted, content=sql)
    assert answer.headers["Content-Encoding"] == encoding
    assert answer.text == "x" * 100_000 + "\n"
    assert answer.num_bytes_downloaded < 5000
    off = {"enable_http_compression": "0"}
    assert "Content-Encoding" not in http.post("/", headers=wanted, params=off, content=sql).headers


@pytest.mark.parametrize("level", ["0", "3", "12"])
def test_any_level_of_compression_works(http: httpx.Client, level: str) -> None:
    """Levels that zlib does not have are brought into its range."""
    given = {"http_zlib_compression_level": level}
    answer = http.post("/", params=given, headers={"Accept-Encoding": "gzip"}, content="SELECT 1")
    assert answer.text == "1\n"


@pytest.mark.parametrize("framed", [False, True])
def test_an_error_in_mid_stream_is_marked(http: httpx.Client, framed: bool) -> None:
    """Behind the blocks that were sent stands the error, in ClickHouse's form, never packed."""
    sql = "SELECT throwIf(number = 200000) FROM numbers(300000) SETTINGS max_block_size = 10000"
    answer = http.post("/", params=FRAMED if framed else {}, content=sql)
    assert answer.status_code == 200
    tag = answer.headers["X-ClickHouse-Exception-Tag"]
    _, _, marked = answer.content.partition(f"\r\n__exception__\r\n{tag}\r\n".encode())
    assert marked.startswith(b"Code: 395. DB::Exception: ")


def test_a_session_runs_one_statement_at_a_time(http: httpx.Client) -> None:
    """The second of two at once is refused with 373; afterwards the session is free again."""
    given = {"session_id": "one"}
    refused = threading.Event()

    def one_after_the_other() -> None:
        while not refused.is_set():
            answer = http.post("/", params=given, content=LONG)
            if answer.headers.get("X-ClickHouse-Exception-Code") == "373":
                refused.set()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = [pool.submit(one_after_the_other) for _ in range(2)]
        assert refused.wait(PATIENCE_S)
    assert [each.result() for each in both] == [None, None]
    assert http.post("/", params={**given, "session_check": "1"}, content="SELECT 1").text == "1\n"


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ({"session_id": "never", "session_check": "1"}, 372),
        ({"session_id": "a", "session_timeout": "3601"}, 374),
        ({"session_id": "a\nb"}, 36),
    ],
)
def test_sessions_that_cannot_be(http: httpx.Client, given: dict[str, str], number: int) -> None:
    """The errors are ClickHouse's."""
    assert code(http.post("/", params=given, content="SELECT 1")) == number


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO llm_attempts (call_id) VALUES ('x')",
        "INSERT INTO llm_attempts (call_id) SELECT 'x'",
        "CREATE TABLE by_reader (a UInt8) ENGINE = MergeTree ORDER BY a",
        "ALTER TABLE llm_attempts ADD COLUMN by_reader UInt8",
    ],
)
def test_the_reader_reads_and_changes_nothing(
    reader: httpx.Client, http: httpx.Client, sql: str
) -> None:
    """The second user's statements, and those under `readonly`, may not write."""
    assert reader.post("/", content="SELECT count() FROM llm_steps").text == "0\n"
    assert code(reader.post("/", content=sql)) == 164
    for value in "12":
        assert code(http.post("/", params={"readonly": value}, content=sql)) == 164


def test_the_users_tokens_are_their_own(stack: Stack, reader: httpx.Client) -> None:
    """The reader's token is no way to write, and the writer's none to be the reader."""
    read_token = Path(stack.run.token_file).with_name("token_read").read_text().strip()
    for auth in (("otel_llm", read_token), ("otel_llm_read", stack.run.token)):
        assert code(reader.post("/", auth=auth, content="SELECT 1")) == 516
    assert code(reader.post("/", auth=("otel_llm_read", ""), content="SELECT 1")) == 516


def test_too_many_requests_are_refused(
    stack: Stack, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the bound a request is told to come again, with 503, and none is forgotten."""
    app = stack._servers[0].config.app
    interface = app.routes[1].endpoint.__self__  # type: ignore[union-attr]
    monkeypatch.setattr(interface, "_bounds", Bounds(2 << 20, requests=2))
    with contextlib.ExitStack() as held:
        for _ in range(2):
            held.enter_context(http.stream("POST", "/", content=ENDLESS))
        refused = http.post("/", content="SELECT 1")
        assert (refused.status_code, code(refused)) == (503, 202)
    until(lambda: interface._inside == 0)
    assert http.post("/", content="SELECT 1").text == "1\n"


def test_the_summary_tells_what_was_read_and_written(http: httpx.Client) -> None:
    """Of a result in one piece what it read, of an INSERT what it wrote; numbers are texts."""
    sql = "SELECT sum(number) FROM numbers(1000) FORMAT JSON"
    told = json.loads(http.post("/", content=sql).headers["X-ClickHouse-Summary"])
    assert told["read_rows"] == "1000"
    assert int(told["elapsed_ns"]) > 0
    row = "INSERT INTO llm_attempts (call_id) FORMAT CSV\ncounted\n"
    told = json.loads(http.post("/", content=row).headers["X-ClickHouse-Summary"])
    assert (told["written_rows"], told["written_bytes"]) == ("1", "8")


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_clickhouse_connect_writes_and_reads(stack: Stack, compress: str | bool) -> None:
    """The Python driver, with a session of its own, in each of its compressions."""
    host, port = stack.run.clickhouse_url.removeprefix("http://").split(":")
    with contextlib.closing(
        clickhouse_connect.get_client(
            host=host, port=int(port), username="otel_llm", password=stack.run.token,
            compress=compress,
        )
    ) as client:  # fmt: skip
        name = f"connect-{compress}"
        rows = [[f"{name}-{number}"] for number in range(1000)]
        client.insert("llm_attempts", rows, column_names=["call_id"])
        asked = "SELECT call_id FROM llm_attempts WHERE startsWith(call_id, {name:String})"
        found = client.query(asked, parameters={"name": f"{name}-"}).result_rows
        assert sorted(found) == sorted((row[0],) for row in rows)
