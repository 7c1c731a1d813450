"""`up` over TLS: all three doors, and our own programs that find it by its run file."""

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
import trustme
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otel_llm import runfile
from otel_llm.agent.sinks import OtlpSink
from otel_llm.agent.spool import Batch
from otel_llm.cli.checks import stack as check
from otel_llm.collector import http_server
from otel_llm.collector.stack import Stack
from otel_llm.conventions import Metrics
from otel_llm.exporters.clickhouse.client import connect
from otel_llm.settings import Settings
from tests.collector.serving import serving
from tests.collector.test_stack import start
from tests.waiting import PATIENCE_S, until

AUTHORITY = trustme.CA()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate, key and authority as files, and the data directory."""
    path = tmp_path_factory.mktemp("tls")
    leaf = AUTHORITY.issue_cert("127.0.0.1", "obs.example.com")
    leaf.cert_chain_pems[0].write_to_path(str(path / "up.pem"))
    leaf.private_key_pem.write_to_path(str(path / "up.key"))
    (path / "up.key").chmod(0o600)
    AUTHORITY.cert_pem.write_to_path(str(path / "ca.pem"))
    return path


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    """Of an `up` with TLS on free ports."""
    return Settings(
        data_dir=str(folder / "data"),
        clickhouse_port=0,
        otlp_http_port=0,
        otlp_grpc_port=0,
        otlp_segment_age_s=0.02,
        store_memory_bytes=1 << 30,
        up_cert_file=str(folder / "up.pem"),
        up_key_file=str(folder / "up.key"),
    )


@pytest.fixture(scope="module")
def secure(settings: Settings) -> Iterator[Stack]:
    """It, answering."""
    with serving(settings) as stack:
        yield stack


def opened(stack: Stack) -> socket.socket:
    """A connection to the OTLP door that has not begun its handshake."""
    url = urlsplit(stack.run.otlp_url)
    return socket.create_connection((url.hostname, url.port or 0), timeout=20)


def names(settings: Settings) -> list[str]:
    """Span names in the store, asked as any of our programs asks."""
    client = connect(data_dir=settings.data_dir)
    try:
        return [row[0] for row in client.query("SELECT SpanName FROM otel_traces").result_rows]
    finally:
        client.close()


def by_http(stack: Stack, folder: Path, name: str) -> None:
    """Send one span through the SDK's exporter, which knows the authority."""
    url, authority = f"{stack.run.otlp_url}/v1/traces", str(folder / "ca.pem")
    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=url, certificate_file=authority)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("tls").start_span(name).end()
    provider.shutdown()


def by_grpc(stack: Stack, folder: Path, name: str) -> None:
    """Send one span over gRPC, likewise."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.name, span.trace_id, span.span_id = name, bytes(range(16)), bytes(range(8))
    span.start_time_unix_nano = span.end_time_unix_nano = time.time_ns()
    trusted = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes())
    with grpc.secure_channel(urlsplit(stack.run.otlp_grpc_url).netloc, trusted) as channel:
        method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        call = channel.unary_unary(
            method,
            ExportTraceServiceRequest.SerializeToString,
            ExportTraceServiceResponse.FromString,
        )
        assert call(request, timeout=20) == ExportTraceServiceResponse()


def test_each_door_says_https(secure: Stack) -> None:
    """In the run file, where programs look."""
    run = secure.run
    urls = (run.clickhouse_url, run.otlp_url, run.otlp_grpc_url)
    assert [urlsplit(url).scheme for url in urls] == ["https"] * 3


def test_both_protocols_take_spans(
    secure: Stack, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From exporters that know the authority; our own client then reads them, by the pin alone."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)  # they go before the exporter's own file
    by_http(secure, folder, "by-http")
    by_grpc(secure, folder, "by-grpc")
    until(lambda: {"by-http", "by-grpc"} <= set(names(settings)))


def test_the_agents_sink_finds_it(secure: Stack, settings: Settings) -> None:
    """By the run file; an empty request is taken."""
    sink = OtlpSink(settings)
    try:
        assert sink.send(Batch("otlp", "traces", 0, b"")) == 0
        assert secure.ingest is not None
    finally:
        sink.close()


def test_doctor_says_it_speaks_tls(secure: Stack, settings: Settings) -> None:
    """And that its OTLP door answers."""
    found = {one.what: one.status for one in check.check(settings)}
    assert (found["tls"], found["otlp"]) == ("ok", "ok")
    assert secure.run.certificate.startswith("-----BEGIN CERTIFICATE-----")


def test_the_end_of_the_certificate_is_a_metric(secure: Stack, folder: Path) -> None:
    """As Unix time, so that a rule can say that it is near."""
    trusted = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    answer = httpx.get(f"{secure.run.otlp_url}/metrics", verify=trusted, trust_env=False)
    lines = [each.split() for each in answer.text.splitlines() if not each.startswith("#")]
    (told,) = [value for name, value in lines if name == Metrics.UP_CERTIFICATE_NOT_AFTER.name]
    assert secure.run.not_after is not None
    assert float(told) == secure.run.not_after.timestamp()


@pytest.mark.parametrize("door", ["clickhouse_url", "otlp_url"])
def test_plain_text_is_not_answered(secure: Stack, door: str) -> None:
    """The connection ends without a word in plain text."""
    url = getattr(secure.run, door).replace("https://", "http://")
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{url}/ping", trust_env=False)


def test_old_tls_is_not_spoken(secure: Stack) -> None:
    """1.1 and older have been withdrawn (RFC 8996)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with opened(secure) as connection, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(connection)


def test_a_handshake_that_hangs_is_broken_off(
    secure: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so is half of one."""
    monkeypatch.setattr(secure._servers[1]._handshakes, "_limit_s", 0.2)
    for sent in (b"", b"\x16\x03\x01\x02\x00"):
        with opened(secure) as connection:
            connection.sendall(sent)
            assert connection.recv(1) == b""


def test_hanging_handshakes_keep_nobody_out(
    secure: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the bound the oldest is broken off; who shakes hands is answered."""
    monkeypatch.setattr(http_server, "most_connections", lambda: 8)
    trusted = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    idle = [opened(secure) for _ in range(40)]
    try:
        answer = httpx.get(f"{secure.run.otlp_url}/metrics", verify=trusted, trust_env=False)
        assert answer.status_code == 200
        assert idle[0].recv(1) == b""
        shaking = secure._servers[1]._handshakes
        assert shaking is not None
        assert shaking.count <= 8
    finally:
        for each in idle:
            each.close()


def test_handshakes_and_connections_are_bounded_together(
    secure: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are many connections, few handshakes may be under way."""
    monkeypatch.setattr(http_server, "most_connections", lambda: 8)
    trusted = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    server = secure._servers[1]
    shaking = server._handshakes
    assert shaking is not None
    until(lambda: not server.server_state.connections)
    held: list[socket.socket] = []
    try:
        held.extend(
            trusted.wrap_socket(opened(secure), server_hostname="obs.example.com") for _ in range(6)
        )
        until(lambda: len(server.server_state.connections) == 6)
        held.extend(opened(secure) for _ in range(20))
        assert held[6].recv(1) == b""
        until(lambda: shaking.count <= 2)
        held[-1].settimeout(0.2)
        with pytest.raises(TimeoutError):
            held[-1].recv(1)
    finally:
        for each in held:
            each.close()


def test_a_side_that_says_no_goodbye_is_not_waited_for(
    secure: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shook hands and is silent: after our own goodbye its connection is broken off."""
    monkeypatch.setattr(http_server, "GOODBYE_S", 0.3)
    trusted = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    state = secure._servers[1].server_state
    until(lambda: not state.connections)
    with trusted.wrap_socket(opened(secure), server_hostname="obs.example.com"):
        until(lambda: len(state.connections) == 1)
        (made,) = state.connections
        made.loop.call_soon_threadsafe(made._end)
        until(lambda: not state.connections, limit_s=25)  # asyncio would wait for 30 s


def test_a_silent_connection_holds_up_no_stop(folder: Path, tmp_path: Path) -> None:
    """One that shook hands and one that did not: neither is waited for."""
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    files = {"OTEL_LLM_UP_CERT_FILE": "up.pem", "OTEL_LLM_UP_KEY_FILE": "up.key"}
    variables = {name: str(folder / file) for name, file in files.items()}
    patient = "from otel_llm.collector import http_server\nhttp_server.GRACE_S = 600\n"
    process = start(tmp_path, patient, variables)
    run = runfile.read(tmp_path)
    assert run is not None
    address = ("127.0.0.1", urlsplit(run.otlp_url).port or 0)
    with (
        socket.create_connection(address, timeout=20),
        socket.create_connection(address, timeout=20) as other,
        context.wrap_socket(other, server_hostname="obs.example.com"),
    ):
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, errors) == (0, "")
