"""Rows over TLS: who is trusted, and as whom the agent comes."""

import base64
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import trustme
from urllib3.exceptions import InsecureRequestWarning

from otel_llm.agent.batches import make_batches
from otel_llm.agent.delivery import AwayError
from otel_llm.agent.sinks import ClickHouseSink
from otel_llm.facts.joined import JoinedRequest, SpanIds
from otel_llm.settings import Settings
from tests.agent.builders import ENGINE, TRACE_ID, anchor, arrived, finished
from tests.agent.fake_sinks import FakeSinks

REQUEST = JoinedRequest(
    ENGINE, anchor(), "finished", arrived(), finished(), SpanIds(TRACE_ID, "1" * 16)
)
(ROWS, _), _ = make_batches([REQUEST], "boot-1")

Files = dict[str, str]
Serve = Callable[..., FakeSinks]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority of this module's own."""
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> Files:
    """The authority's certificate, and a client's with its key."""
    client = authority.issue_cert("agent@example.com")
    paths = {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key", "both")}
    authority.cert_pem.write_to_path(str(paths["ca"]))
    client.cert_chain_pems[0].write_to_path(str(paths["cert"]))
    client.private_key_pem.write_to_path(str(paths["key"]))
    client.private_key_and_cert_chain_pem.write_to_path(str(paths["both"]))
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture
def serve(authority: trustme.CA) -> Iterator[Serve]:
    """Starts a server with a certificate for a name; it may ask for a client's."""
    running: list[FakeSinks] = []

    def start(name: str = "127.0.0.1", *, wants_client: bool = False) -> FakeSinks:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        if wants_client:
            authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        running.append(FakeSinks(context))
        return running[-1]

    yield start
    for server in running:
        server.close()


def send(server: FakeSinks, settings: Settings, **changes: object) -> None:
    """Deliver one batch of rows with some settings changed."""
    sink = ClickHouseSink(msgspec.structs.replace(settings, clickhouse_url=server.url, **changes))
    try:
        sink.send(ROWS)
    finally:
        sink.close()


def test_rows_arrive_at_a_server_that_the_authority_signed(
    serve: Serve, settings: Settings, files: Files
) -> None:
    """User and password travel in the header, and the block is compressed."""
    server = serve()
    send(server, settings, clickhouse_ca_file=files["ca"], clickhouse_password="secret")
    assert [row["request_id"] for row in server.rows("llm_requests")] == ["req-1"]
    given = server.rows_headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(given) == b"otel_llm:secret"
    assert server.rows_headers["Content-Encoding"] == "zstd"


def test_nobody_is_trusted_by_default(serve: Serve, settings: Settings, files: Files) -> None:
    """A server of an unknown authority, or of another name, gets nothing; the batch is kept."""
    stranger = serve()
    with pytest.raises(AwayError, match="CERTIFICATE_VERIFY_FAILED"):
        send(stranger, settings)
    other = serve("store.example.com")
    with pytest.raises(AwayError, match="IP address mismatch"):
        send(other, settings, clickhouse_ca_file=files["ca"])
    assert stranger.deliveries == other.deliveries == []


def test_checking_can_be_switched_off(serve: Serve, settings: Settings) -> None:
    """Only by name, and the driver warns each time."""
    server = serve("store.example.com")
    with pytest.warns(InsecureRequestWarning):
        send(server, settings, clickhouse_verify=False)
    assert len(server.rows("llm_requests")) == 1


@pytest.mark.parametrize("together", [True, False])
def test_a_client_certificate_is_shown(
    serve: Serve, settings: Settings, files: Files, together: bool
) -> None:
    """A server that asks for one gets it, its key in the same file or another."""
    server = serve(wants_client=True)
    with pytest.raises(AwayError):
        send(server, settings, clickhouse_ca_file=files["ca"])
    assert server.deliveries == []
    mine = {"clickhouse_cert_file": files["both"]}
    if not together:
        mine = {"clickhouse_cert_file": files["cert"], "clickhouse_key_file": files["key"]}
    send(server, settings, clickhouse_ca_file=files["ca"], clickhouse_password="x", **mine)
    assert len(server.rows("llm_requests")) == 1
    assert server.rows_headers["Authorization"].startswith("Basic ")


def test_without_a_password_the_certificate_names_the_user(
    serve: Serve, settings: Settings, files: Files
) -> None:
    """ClickHouse then takes the certificate for the password."""
    server = serve(wants_client=True)
    mine = {"clickhouse_ca_file": files["ca"], "clickhouse_cert_file": files["both"]}
    send(server, settings, clickhouse_user="agent", **mine)
    assert server.rows_headers["X-ClickHouse-User"] == "agent"
    assert server.rows_headers["X-ClickHouse-SSL-Certificate-Auth"] == "on"
    assert "Authorization" not in server.rows_headers


@pytest.mark.parametrize("name", ["clickhouse_ca_file", "clickhouse_cert_file"])
def test_a_missing_file_is_told(
    serve: Serve, settings: Settings, tmp_path: Path, name: str
) -> None:
    """The batch is kept, and the error says that a file is not there."""
    with pytest.raises(AwayError, match="No such file"):
        send(serve(), settings, **{name: str(tmp_path / "nowhere.pem")})
