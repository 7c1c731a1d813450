"""ClickHouse's HTTP interface as curl and drivers use it."""

import gzip
import importlib
import json
import socket
import threading
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from otel_llm.collector.stack import Stack
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.client import connect
from otel_llm.exporters.clickhouse.interface.body import zstd_module
from tests.waiting import PATIENCE_S


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    """An HTTP client with user and token."""
    auth = ("otel_llm", stack.run.token)
    with httpx.Client(
        base_url=stack.run.clickhouse_url, auth=auth, trust_env=False, timeout=PATIENCE_S
    ) as client:
        yield client


@pytest.fixture
def bare(stack: Stack) -> Iterator[httpx.Client]:
    """An HTTP client without credentials."""
    with httpx.Client(
        base_url=stack.run.clickhouse_url, trust_env=False, timeout=PATIENCE_S
    ) as client:
        yield client


def code(answer: httpx.Response) -> int:
    """ClickHouse's number in an error answer."""
    return int(answer.headers["X-ClickHouse-Exception-Code"])


def test_ping_needs_no_token(bare: httpx.Client) -> None:
    """Health checks work without credentials."""
    assert bare.get("/ping").text == "Ok.\n"


def test_query_in_the_url_and_in_the_body(http: httpx.Client) -> None:
    """GET with `query`, POST with a body, and both put together."""
    assert http.get("/", params={"query": "SELECT 1"}).text == "1\n"
    assert http.post("/", content="SELECT 2").text == "2\n"
    both = http.post("/", params={"query": "SELECT 3"}, content="FORMAT JSONEachRow")
    assert json.loads(both.text) == {"3": 3}
    assert http.get("/").text == "Ok.\n"


def test_formats(http: httpx.Client) -> None:
    """FORMAT in the statement beats the header, the parameter is the default."""
    given = {"default_format": "JSONCompact"}
    answer = http.post("/", params=given, content="SELECT 1 AS a")
    assert answer.json()["data"] == [[1]]
    assert answer.headers["X-ClickHouse-Format"] == "JSONCompact"
    assert answer.headers["Content-Type"].startswith("application/json")
    assert http.post("/", params=given, content="SELECT 1 FORMAT CSV").text == "1\n"
    header = {"X-ClickHouse-Format": "JSONEachRow"}
    assert http.post("/", headers=header, content="SELECT 1 AS a").json() == {"a": 1}
    assert code(http.post("/", params={"default_format": "Template"}, content="SELECT 1")) == 497


def test_parameters(http: httpx.Client) -> None:
    """`param_` values are values, whatever they hold."""
    given = {"param_a": "3", "param_b": "it's; DROP -- \\\\ \\t"}
    answer = http.post("/", params=given, content="SELECT {a:UInt8} + 1, {b:String} FORMAT TSVRaw")
    assert answer.text == "4\tit's; DROP -- \\ \t\n"


def test_parameters_in_a_form(http: httpx.Client) -> None:
    """Long parameters come as a multipart form."""
    fields = {"query": (None, "SELECT length({a:String})"), "param_a": (None, "x" * 100_000)}
    assert http.post("/", files=fields).text == "100000\n"


def test_answers_carry_clickhouse_headers(http: httpx.Client) -> None:
    """Drivers read summary, zone and query id."""
    answer = http.get("/", params={"query": "SELECT 1", "query_id": "my-id"})
    assert answer.headers["X-ClickHouse-Query-Id"] == "my-id"
    assert answer.headers["X-ClickHouse-Timezone"] == "UTC"
    assert "written_rows" in json.loads(answer.headers["X-ClickHouse-Summary"])
    assert code(http.get("/", params={"query": "SELECT 1", "query_id": "a\r\nb: c"})) == 36


@pytest.mark.parametrize(
    ("sql", "status", "number"),
    [
        ("SELEC 1", 400, 62),
        ("SELECT nope", 404, 47),
        ("SELECT * FROM nowhere", 404, 60),
        ("SELECT * FROM file('/etc/passwd')", 403, 497),
        (b"SELECT '\xff'", 400, 62),
    ],
)
def test_errors(http: httpx.Client, sql: str | bytes, status: int, number: int) -> None:
    """Status, number and text are ClickHouse's."""
    answer = http.post("/", content=sql)
    assert (answer.status_code, code(answer)) == (status, number)
    assert answer.text.startswith(f"Code: {number}. DB::Exception: ")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("given", [{}, {"max_execution_time": "0"}])
def test_a_query_has_its_time(http: httpx.Client, given: dict[str, str]) -> None:
    """Past the bound it ends with ClickHouse's 159, also if it asks for more."""
    long = "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1"
    answer = http.post("/", params=given, content=long)
    assert (answer.status_code, code(answer)) == (408, 159)


@pytest.mark.parametrize("way", ["basic", "header", "url"])
@pytest.mark.parametrize("secret", ["", "wrong", "tökén"])
def test_wrong_tokens_are_refused(bare: httpx.Client, way: str, secret: str) -> None:
    """No way in without the token; the answer is ClickHouse's 516."""
    headers, params = credentials(way, "otel_llm", secret)
    answer = bare.post("/", headers=headers, params=params, content="SELECT 1")
    assert (answer.status_code, code(answer)) == (403, 516)


@pytest.mark.parametrize("way", ["basic", "header", "url"])
def test_the_token_opens(bare: httpx.Client, stack: Stack, way: str) -> None:
    """Basic auth, X-ClickHouse-Key and URL parameters are all taken."""
    headers, params = credentials(way, "otel_llm", stack.run.token)
    assert bare.post("/", headers=headers, params=params, content="SELECT 1").text == "1\n"
    headers, params = credentials(way, "default", stack.run.token)
    assert bare.post("/", headers=headers, params=params, content="SELECT 1").status_code == 403


def credentials(way: str, user: str, secret: str) -> tuple[dict[bytes, bytes], dict[str, str]]:
    """Headers and parameters that carry user and token."""
    if way == "basic":
        return {b"Authorization": b"Basic " + b64encode(f"{user}:{secret}".encode())}, {}
    if way == "header":
        return {b"X-ClickHouse-User": user.encode(), b"X-ClickHouse-Key": secret.encode()}, {}
    return {}, {"user": user, "password": secret}


def test_no_credentials_are_asked_for(bare: httpx.Client) -> None:
    """Without credentials the answer says which ones are needed."""
    answer = bare.post("/", content="SELECT 1")
    assert (answer.status_code, code(answer)) == (401, 194)
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    broken = bare.post("/", headers={"Authorization": "Basic %%%"}, content="SELECT 1")
    assert broken.status_code == 403


@pytest.mark.parametrize("path", ["/", "/ping"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8123", "127.0.0.1.evil", "[::2]", ""]
)
def test_other_hosts_are_refused(http: httpx.Client, path: str, host: str) -> None:
    """A name that an attacker points at 127.0.0.1 is not served, token or not."""
    answer = http.get(path, params={"query": "SELECT 1"}, headers={"Host": host})
    assert answer.status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8123", "[::1]:8123"])
def test_own_hosts_are_served(http: httpx.Client, host: str) -> None:
    """The names of this host are served with any port."""
    assert http.get("/ping", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000"])
def test_browsers_of_other_origins_are_refused(http: httpx.Client, origin: str) -> None:
    """A page that finds the token still cannot use it from a browser."""
    headers = {"Origin": origin}
    assert http.post("/", headers=headers, content="SELECT 1").status_code == 403


def test_a_body_over_the_limit_is_refused(http: httpx.Client) -> None:
    """413 by Content-Length, by count without it, and after decompression."""
    big = b"SELECT 1 -- " + b"x" * (3 << 20)
    assert http.post("/", content=big).status_code == 413
    assert http.post("/", content=iter([big[: 1 << 20]] * 3)).status_code == 413
    packed = {"Content-Encoding": "gzip"}
    assert http.post("/", content=gzip.compress(big), headers=packed).status_code == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4"])
def test_compressed_bodies(http: httpx.Client, encoding: str) -> None:
    """Each encoding drivers send is read; broken and cut bodies are errors."""
    compress = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "zstd": zstd_module().compress,
        "lz4": importlib.import_module("lz4.frame").compress,
    }[encoding]
    headers = {"Content-Encoding": encoding}
    whole = compress(b"SELECT 'packed'")
    assert http.post("/", content=whole, headers=headers).text == "packed\n"
    two = compress(b"SELECT ") + compress(b"'two frames'")
    assert http.post("/", content=two, headers=headers).text == "two frames\n"
    for broken in (whole[:-5], b"not packed", whole[:4] + b"\xff" * 9):
        answer = http.post("/", content=broken, headers=headers)
        assert (answer.status_code, code(answer)) == (400, 36)


def test_an_unknown_encoding_is_named(http: httpx.Client) -> None:
    """The error says which encodings there are."""
    answer = http.post("/", content=b"x", headers={"Content-Encoding": "br"})
    assert (answer.status_code, code(answer)) == (400, 36)
    assert "gzip" in answer.text


def test_brotli_is_not_answered_with(http: httpx.Client) -> None:
    """Who accepts Brotli alone gets plain bytes, and no header that says otherwise."""
    answer = http.post("/", content=b"SELECT 'plain'", headers={"Accept-Encoding": "br"})
    assert (answer.text, answer.headers.get("content-encoding")) == ("plain\n", None)


def test_external_tables_are_refused(http: httpx.Client) -> None:
    """With their own error, and what to do instead; the rows reach no table of that name."""
    asked = {"query": "SELECT a FROM other", "other_structure": "a UInt8", "other_format": "TSV"}
    part = (
        b'--x\r\nContent-Disposition: form-data; name="other"; filename="%s"\r\n\r\n1\n2\n\r\n--x--'
    )
    for filename in (b"other", b""):
        form = {"content-type": "multipart/form-data; boundary=x"}
        answer = http.post("/", params=asked, content=part % filename, headers=form)
        assert (code(answer), "values('a UInt8', 1, 2)" in answer.text) == (48, True)
    assert code(http.post("/", params=asked, content=b"")) == 497
    instead = "SELECT sum(a) FROM values('a UInt8', 1, 2)"
    assert http.post("/", content=instead).text == "3\n"


def test_a_role_is_refused(http: httpx.Client) -> None:
    """There are none, so a caller that wants to be allowed less is not served with more."""
    answer = http.get("/", params={"query": "SELECT 1", "role": "reader"})
    assert code(answer) == 511
    assert http.get("/", params={"query": "SELECT 1", "role": ""}).text == "1\n"


def test_settings_in_the_url(http: httpx.Client) -> None:
    """An allowed setting works, one that widens or is unknown is refused."""
    answer = http.get("/", params={"query": "SELECT number FROM numbers(9)", "limit": "2"})
    assert answer.text == "0\n1\n"
    for setting in ({"format_schema": "/x:y"}, {"nonsense": "1"}, {"readonly": "0"}):
        assert code(http.get("/", params={"query": "SELECT 1", **setting})) == 497


def test_the_schema_is_applied_over_the_interface(stack: Stack, http: httpx.Client) -> None:
    """A new database gets every statement through the door."""
    http.post("/", content="CREATE DATABASE over_the_wire").raise_for_status()
    with closing(
        connect(stack.run.clickhouse_url, stack.run.token, database="over_the_wire")
    ) as client:
        assert schema.apply(client) == schema.statements()
        assert schema.pending(client) == ()


def test_the_default_database_is_the_store_s(http: httpx.Client) -> None:
    """Clients that name `default` find the tables; the name is no way to anything else."""
    for given in ({}, {"database": "default"}, {"database": "otel"}):
        answer = http.get("/", params={"query": "SELECT count() FROM llm_steps", **given})
        assert answer.text == "0\n"
    assert code(http.get("/", params={"query": "SELECT 1", "database": "none"})) == 81


def test_a_large_result_streams(http: httpx.Client) -> None:
    """A result larger than any buffer arrives block by block."""
    size = 0
    with http.stream("POST", "/", content="SELECT number FROM numbers(2000000)") as answer:
        for part in answer.iter_bytes():
            size += len(part)
    assert size == sum(len(str(n)) + 1 for n in range(2_000_000))


def test_a_large_result_in_one_piece_is_refused(http: httpx.Client) -> None:
    """Asked to wait for the end, the interface keeps within a bound and says so."""
    large = "SELECT repeat('x', 1000) FROM numbers(20000)"
    for sql, params in ((large, {"wait_end_of_query": "1"}), (f"{large} FORMAT JSON", {})):
        answer = http.post("/", params=params, content=sql)
        assert (answer.status_code, code(answer)) == (413, 396)


def test_an_error_in_mid_stream_is_marked(http: httpx.Client) -> None:
    """After the first byte the status is gone; the body ends with ClickHouse's marked error."""
    sql = "SELECT number, throwIf(number = 1000000) FROM numbers(2000000)"
    with http.stream("POST", "/", content=sql) as answer:
        assert answer.status_code == 200
        tag = answer.headers["X-ClickHouse-Exception-Tag"]
        text = answer.read().decode()
    assert text.startswith("0\t0\n1\t0\n")
    assert f"__exception__\r\n{tag}\r\nCode: 395." in text
    assert text.endswith(f"{tag}\r\n__exception__\r\n")
    waited = http.post("/", params={"wait_end_of_query": "1"}, content=sql)
    assert (waited.status_code, code(waited)) == (500, 395)


def test_a_caller_that_goes_away_frees_its_thread(http: httpx.Client, stack: Stack) -> None:
    """Many abandoned streams leave the interface answering."""
    host, port = stack.run.clickhouse_url.removeprefix("http://").split(":")
    auth = b64encode(f"otel_llm:{stack.run.token}".encode()).decode()
    sql = "SELECT number FROM numbers(100000000000)"
    head = (
        f"POST / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {auth}\r\n"
        f"Content-Length: {len(sql)}\r\n\r\n{sql}"
    )
    for _ in range(20):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode())
            assert connection.recv(100)
    assert http.get("/", params={"query": "SELECT 1"}, timeout=20).text == "1\n"


def test_inserts(http: httpx.Client) -> None:
    """Rows in the body after the statement, or alone with the statement in the URL."""
    names = "llm_engine_events (instance_id, event)"
    by_body = http.post("/", content=f"INSERT INTO {names} FORMAT CSV\nbody,x\n")
    assert json.loads(by_body.headers["X-ClickHouse-Summary"])["written_rows"] == "1"
    http.post("/", params={"query": f"INSERT INTO {names} FORMAT JSONEachRow"},
              content='{"instance_id": "url", "event": "x"}').raise_for_status()  # fmt: skip
    http.post("/", content=f"INSERT INTO {names} VALUES ('values', 'x')").raise_for_status()
    asked = "SELECT instance_id FROM llm_engine_events WHERE event = 'x' ORDER BY 1"
    assert http.get("/", params={"query": asked}).text == "body\nurl\nvalues\n"


@pytest.mark.parametrize(
    ("query", "data", "number"),
    [
        ("INSERT INTO llm_engine_events FORMAT ArrowStream", b"garbage", 117),
        ("INSERT INTO nowhere FORMAT CSV", b"1", 60),
        ("INSERT INTO llm_steps (nope) FORMAT CSV", b"1", 16),
        ("INSERT INTO llm_steps FORMAT Template", b"1", 497),
        ("INSERT INTO FUNCTION file('x') FORMAT CSV", b"1", 497),
        ("INSERT INTO llm_steps FROM INFILE 'x' FORMAT CSV", b"1", 497),
    ],
)
def test_bad_inserts(http: httpx.Client, query: str, data: bytes, number: int) -> None:
    """An insert that cannot be is answered with ClickHouse's number and stores nothing."""
    answer = http.post("/", params={"query": query}, content=data)
    assert code(answer) == number
    assert http.get("/", params={"query": "SELECT count() FROM llm_steps"}).text == "0\n"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO llm_steps (instance_id) VALUES ('x')",
        "INSERT INTO llm_steps (instance_id) FORMAT CSV\nx\n",
        "INSERT INTO llm_steps (instance_id) SELECT 'x'",
        "CREATE TABLE by_get (a UInt8) ENGINE = MergeTree ORDER BY a",
        "ALTER TABLE llm_steps ADD COLUMN by_get UInt8",
    ],
)
def test_get_and_head_change_nothing(http: httpx.Client, method: str, sql: str) -> None:
    """As on a server: what writes needs POST. A link must not be able to change the store."""
    answer = http.request(method, "/", params={"query": sql})
    assert (answer.status_code, code(answer)) == (500, 164)
    assert http.get("/", params={"query": "SELECT count() FROM llm_steps"}).text == "0\n"
    assert http.get("/", params={"query": "EXISTS TABLE by_get"}).text == "0\n"


def test_many_callers_at_once(stack: Stack) -> None:
    """Readers and writers in parallel: every answer is right and nothing is lost."""
    failures: list[str] = []

    def work(number: int) -> None:
        auth = ("otel_llm", stack.run.token)
        with httpx.Client(
            base_url=stack.run.clickhouse_url, auth=auth, trust_env=False, timeout=PATIENCE_S
        ) as http:
            for turn in range(8):
                row = f"INSERT INTO llm_attempts (call_id) FORMAT CSV\n{number}-{turn}\n"
                if http.post("/", content=row, timeout=60).status_code != 200:
                    failures.append(row)
                if (
                    http.get("/", params={"query": f"SELECT {turn}"}, timeout=60).text
                    != f"{turn}\n"
                ):
                    failures.append(str(turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    auth = ("otel_llm", stack.run.token)
    asked = {"query": "SELECT uniqExact(call_id), count() FROM llm_attempts"}
    counted = httpx.get(stack.run.clickhouse_url, params=asked, auth=auth, trust_env=False)
    assert counted.text == "48\t48\n"
