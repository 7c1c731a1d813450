"""`run_stack`: start, run file, signals, errors."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest

from otel_llm import runfile
from otel_llm.collector.stack import Stack
from otel_llm.errors import SettingError, StoreError
from otel_llm.settings import Settings
from tests.waiting import PATIENCE_S

PROGRAM = """
import sys
from otel_llm.collector.stack import run_stack
from otel_llm.settings import load
run_stack(load(data_dir=sys.argv[1], clickhouse_port=0, otlp_http_port=0, otlp_grpc_port=0))
"""


STUCK = """
import threading
from otel_llm.collector import ingest
from otel_llm.collector.drain import drainer, store
ingest._FINISH_S = drainer._LAST_S = 0.5
def endless(*_):
    print("at work", flush=True)
    threading.Event().wait()
store.decode = endless
"""
STUCK_IN_ENGINE = """
from otel_llm.collector import ingest
from otel_llm.collector.drain import drainer
from otel_llm.exporters.clickhouse.engine import Handle
ingest._FINISH_S = drainer._LAST_S = 0.5
def endless(self, *_):
    print("at work", flush=True)
    self.run("INSERT INTO otel_traces (SpanName) SELECT '' FROM numbers(1000000000000) "
             "WHERE sipHash64(number) = 1 SETTINGS max_threads = 1")
Handle.insert = endless
"""
BROKEN = """
from otel_llm.collector.drain import store
def broken(*_):
    raise KeyError("nobody thought of this")
store.decode = broken
"""


def start(
    data_dir: Path, before: str = "", variables: Mapping[str, str] = MappingProxyType({})
) -> "subprocess.Popen[str]":
    """Start a stack in a process of its own and wait until it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", before + PROGRAM, str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("otel-llm up is ready: ClickHouse http")
    return process


def found(data_dir: Path) -> runfile.RunFile:
    """The run file of a stack that runs."""
    run = runfile.read(data_dir)
    assert run is not None
    return run


def ask(run: runfile.RunFile, sql: str) -> httpx.Response:
    """Put a query to a stack."""
    auth = ("otel_llm", run.token)
    return httpx.post(run.clickhouse_url, content=sql, auth=auth, timeout=60, trust_env=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stack_starts_and_stops_cleanly(tmp_path: Path, number: int) -> None:
    """Ready line, run file and private token; after a signal, exit 0 and no run file."""
    process = start(tmp_path)
    run = found(tmp_path)
    assert run.pid == process.pid
    assert ask(run, "SELECT count() FROM otel_traces").text == "0\n"
    for private in (runfile.path_of(tmp_path), Path(run.token_file)):
        assert private.stat().st_mode & 0o777 == 0o600
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, "")
    assert runfile.read(tmp_path) is None
    assert not runfile.path_of(tmp_path).exists()


def test_a_killed_stack_leaves_nothing_that_misleads(tmp_path: Path) -> None:
    """After SIGKILL the run file is not believed, the data is there, the token the same."""
    process = start(tmp_path)
    run = found(tmp_path)
    token = run.token
    row = "INSERT INTO llm_attempts (call_id, started) SELECT 'kept', now64(9)"
    ask(run, row).raise_for_status()
    process.kill()
    process.communicate()
    assert runfile.path_of(tmp_path).exists()
    assert runfile.read(tmp_path) is None
    process = start(tmp_path)
    try:
        run = found(tmp_path)
        assert run.token == token
        assert ask(run, "SELECT call_id FROM llm_attempts").text == "kept\n"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def test_a_stop_does_not_wait_for_long_queries(tmp_path: Path) -> None:
    """A query that would run for long is cancelled when the stack is told to stop."""
    process = start(tmp_path)
    run = found(tmp_path)
    answers: list[httpx.Response] = []

    def long() -> None:
        sql = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
        answers.append(ask(run, sql))

    thread = threading.Thread(target=long)
    thread.start()
    while ask(run, "SELECT value FROM system.metrics WHERE metric = 'Query'").text < "2":
        assert process.poll() is None
    process.terminate()
    _, errors = process.communicate(timeout=PATIENCE_S)
    thread.join(PATIENCE_S)
    assert (process.returncode, errors) == (0, "")
    assert answers[0].headers["X-ClickHouse-Exception-Code"] == "394"


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """The error names the setting, the address and the remedy, and frees the directory."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(
            data_dir=str(tmp_path), clickhouse_port=port, otlp_http_port=0, otlp_grpc_port=0
        )
        with pytest.raises(SettingError, match=rf"clickhouse_port: cannot listen on .*:{port}"):
            Stack(settings)
    Stack(
        Settings(data_dir=str(tmp_path), clickhouse_port=0, otlp_http_port=0, otlp_grpc_port=0)
    ).close()


def test_a_taken_directory_is_refused(tmp_path: Path) -> None:
    """Two stacks never share a data directory."""
    settings = Settings(
        data_dir=str(tmp_path), clickhouse_port=0, otlp_http_port=0, otlp_grpc_port=0
    )
    first = Stack(settings)
    try:
        with pytest.raises(StoreError, match=rf"in use by otel-llm up \(pid {os.getpid()}\)"):
            Stack(settings)
    finally:
        first.close()


def test_off_loopback_spans_need_the_token(tmp_path: Path) -> None:
    """Bound to other addresses, the receiver asks for the token as bearer."""
    from tests.collector.serving import serving

    settings = Settings(
        data_dir=str(tmp_path),
        clickhouse_port=0,
        otlp_http_port=0,
        otlp_grpc_port=0,
        bind_host="0.0.0.0",
    )
    with serving(settings) as stack:
        url = stack.run.otlp_url.replace("0.0.0.0", "127.0.0.1") + "/v1/traces"
        plain = {"Content-Type": "application/x-protobuf"}
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": stack.run.token}):
            answer = httpx.post(url, content=b"", headers={**plain, **given}, trust_env=False)
            assert answer.status_code == 401
        bearer = {**plain, "Authorization": f"Bearer {stack.run.token}"}
        assert httpx.post(url, content=b"", headers=bearer, trust_env=False).status_code == 200


def test_off_loopback_grpc_needs_the_token(tmp_path: Path) -> None:
    """UNAUTHENTICATED without it and with a wrong one, before anything is read."""
    import grpc

    from tests.collector.doors.test_grpc import export, open_channel, refused
    from tests.collector.serving import serving

    settings = Settings(
        data_dir=str(tmp_path),
        clickhouse_port=0,
        otlp_http_port=0,
        otlp_grpc_port=0,
        bind_host="0.0.0.0",
    )
    with serving(settings) as stack, open_channel(stack) as channel:
        for given in ("", "Bearer wrong", stack.run.token):
            error = refused(channel, b"", metadata=[("authorization", given)])
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED
        assert stack.ingest.intake.refused["unauthenticated"] == 3
        bearer = [("authorization", f"Bearer {stack.run.token}")]
        assert export(channel, b"", metadata=bearer) == b""


def test_a_body_larger_than_the_spool_is_refused_for_good(tmp_path: Path) -> None:
    """413, not 429: it would never fit, however long its sender tries."""
    from tests.collector.doors.test_bounds import post
    from tests.collector.doors.test_http import request_of, span_of
    from tests.collector.serving import serving

    ports = {"clickhouse_port": 0, "otlp_http_port": 0, "otlp_grpc_port": 0}
    settings = Settings(data_dir=str(tmp_path), otlp_spool_bytes=1 << 20, **ports)
    with serving(settings) as small:
        answer = post(small, request_of(span_of(name="x" * (1 << 20))))
        assert (answer.status_code, "Retry-After" in answer.headers) == (413, False)
        assert post(small, request_of(span_of(name="x" * (1 << 19)))).status_code == 200


def test_a_grpc_port_in_use_is_named(tmp_path: Path) -> None:
    """The error names the setting; the spool and the directory are free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(
            data_dir=str(tmp_path), clickhouse_port=0, otlp_http_port=0, otlp_grpc_port=port
        )
        stack = Stack(settings)
        try:
            with pytest.raises(SettingError, match=rf"otlp_grpc_port: cannot listen on .*:{port}"):
                asyncio.run(stack.serve())
        finally:
            stack.close()
    Stack(settings).close()


def test_what_was_acknowledged_is_stored_at_a_stop(tmp_path: Path) -> None:
    """A stop stores what the spool holds, however young."""
    from tests.collector.doors.test_http import HEADERS, request_of, span_of

    os.environ["OTEL_LLM_OTLP_SEGMENT_AGE_S"] = "3600"
    try:
        process = start(tmp_path)
    finally:
        del os.environ["OTEL_LLM_OTLP_SEGMENT_AGE_S"]
    url = f"{found(tmp_path).otlp_url}/v1/traces"
    body = request_of(span_of(start_time_unix_nano=time.time_ns()))
    httpx.post(url, content=body, headers=HEADERS, trust_env=False).raise_for_status()
    assert list(tmp_path.glob("spool/*.segment"))
    process.terminate()
    process.communicate(timeout=PATIENCE_S)
    assert not list(tmp_path.glob("spool/*.segment"))
    process = start(tmp_path)
    try:
        assert ask(found(tmp_path), "SELECT count() FROM otel_traces").text == "1\n"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def send_one(data_dir: Path) -> None:
    """One span that is acknowledged."""
    from tests.collector.doors.test_http import HEADERS, request_of, span_of

    url = f"{found(data_dir).otlp_url}/v1/traces"
    body = request_of(span_of(start_time_unix_nano=time.time_ns()))
    httpx.post(url, content=body, headers=HEADERS, trust_env=False).raise_for_status()


@pytest.mark.parametrize("stuck", [STUCK, STUCK_IN_ENGINE], ids=["decoder", "engine"])
def test_a_stop_does_not_wait_for_a_block(tmp_path: Path, stuck: str) -> None:
    """Whatever the drain thread is at: the process ends, and the next one stores the rest."""
    process = start(tmp_path, stuck)
    send_one(tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.terminate()
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, "A block takes too long; the next start stores it\n")
    process = start(tmp_path)
    process.terminate()
    process.communicate(timeout=PATIENCE_S)
    assert not list(tmp_path.glob("spool/*.segment"))


def test_a_thread_that_ends_by_an_error_ends_the_stack(tmp_path: Path) -> None:
    """Loudly and with a status for the supervisor; what was acknowledged is kept."""
    process = start(tmp_path, BROKEN)
    send_one(tmp_path)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "The thread otlp-drain ended by an error\nTraceback" in errors
    assert "StoreError: The thread otlp-drain ended by an error: KeyError" in errors
    assert runfile.read(tmp_path) is None
    assert list(tmp_path.glob("spool/*.segment"))
