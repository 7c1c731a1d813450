"""Connections to the gRPC door that never speak, in a process with few files."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
import trustme

from otel_llm import pinning, runfile
from otel_llm.collector.doors.grpc import METHODS
from tests.collector.test_stack import found, start
from tests.waiting import PATIENCE_S

FILES = 400
HANGING = 500
LIMITS = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}))
from otel_llm.collector.doors import grpc
grpc.HEAD_S = 2.0
"""
TRACES = next(method for method, signal in METHODS.items() if signal == "traces")


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[runfile.RunFile]:
    """An `up` that may open few files, over TLS or not."""
    leaf = trustme.CA().issue_cert("obs.example.com")
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "up.pem"))
    leaf.private_key_pem.write_to_path(str(tmp_path / "up.key"))
    (tmp_path / "up.key").chmod(0o600)
    files = {"OTEL_LLM_UP_CERT_FILE": "up.pem", "OTEL_LLM_UP_KEY_FILE": "up.key"}
    variables = {name: str(tmp_path / file) for name, file in files.items()}
    process = start(tmp_path / "data", LIMITS, variables if request.param else {})
    try:
        yield found(tmp_path / "data")
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, errors) == (0, "")


def channel(run: runfile.RunFile) -> grpc.Channel:
    """A channel to the gRPC door."""
    target = urlsplit(run.otlp_grpc_url).netloc
    if not run.certificate:
        return grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)])
    trusted = grpc.ssl_channel_credentials(run.certificate.encode())
    options = [("grpc.ssl_target_name_override", "obs.example.com")]
    return grpc.secure_channel(target, trusted, options)


def test_hanging_connections_are_let_go_and_keep_nobody_out(run: runfile.RunFile) -> None:
    """Hundreds that say nothing: never all files, each is ended, and a client gets in."""
    url = urlsplit(run.otlp_grpc_url)
    with contextlib.ExitStack() as all_of_them:
        hanging = [
            all_of_them.enter_context(
                socket.create_connection((url.hostname, url.port or 0), timeout=PATIENCE_S)
            )
            for _ in range(HANGING)
        ]
        assert len(list(Path(f"/proc/{run.pid}/fd").iterdir())) < FILES * 3 // 4
        verify = pinning.context(run.certificate) if run.certificate else True
        answer = httpx.get(
            f"{run.otlp_url}/metrics", verify=verify, trust_env=False, timeout=PATIENCE_S
        )
        assert answer.status_code == 200
        with channel(run) as opened:
            call = opened.unary_unary(TRACES)
            assert call(b"", timeout=PATIENCE_S, wait_for_ready=True) == b""
        for each in hanging:
            # Nothing, or the settings of HTTP/2 that a server sends first.
            with contextlib.suppress(ConnectionResetError):
                while each.recv(1024):
                    pass
