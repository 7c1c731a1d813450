"""The gateway as a process: its ready line, its flush on SIGTERM, its wrong arguments."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_llm.facts.gateway import Attempt, GatewayCall
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from tests.waiting import PATIENCE_S

MODULE = "otel_llm.demo.gateway"
PATH = "/v1/completions"


class _Sink(ThreadingHTTPServer):
    """An engine and an OTLP receiver in one: answers calls, keeps exports."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.exports: list[tuple[str | None, ExportTraceServiceRequest]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = b'{"id": "c-1", "usage": {"prompt_tokens": 2, "completion_tokens": 1}}'
        assert isinstance(self.server, _Sink)
        if self.path == "/v1/traces":
            export = ExportTraceServiceRequest()
            export.ParseFromString(body)
            self.server.exports.append((self.headers["authorization"], export))
            answer = b""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def sink() -> Iterator[_Sink]:
    """A running sink."""
    with _Sink() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def _gateway(
    arguments: list[str], journal_dir: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("OTEL_")},
        "OTEL_LLM_JOURNAL_DIR": str(journal_dir),
        "OTEL_LLM_JOURNAL_BYTES": str(1 << 20),
        "OTEL_LLM_SERVICE": "edge",
        # Nothing is sent before the end, so that only the flush can deliver.
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        assert ready["pid"] == process.pid
        assert ready["url"] == f"http://{ready['host']}:{ready['port']}"
        yield process, ready["url"]
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_facts_and_spans_survive_sigterm(sink: _Sink, tmp_path: Path) -> None:
    """After SIGTERM every span has been delivered, and the journal is closed with every fact."""
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    arguments = ["--upstream", f"engine-a={sink.url}", "--otlp", sink.url]
    arguments += ["--otlp-token-file", str(token)]
    with _gateway(arguments, tmp_path / "journals") as (process, url):
        for _ in range(5):
            assert httpx.post(url + PATH, json={"model": "m"}).status_code == 200
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    (path,) = scan(tmp_path / "journals")
    reader = JournalReader.open(path)
    facts = reader.read()
    assert reader.counters.clean_close
    assert reader.counters.dropped == reader.counters.swallowed == 0
    reader.close()
    calls = [fact for fact in facts if isinstance(fact, GatewayCall)]
    attempts = [fact for fact in facts if isinstance(fact, Attempt)]
    assert [call.outcome for call in calls] == ["finished"] * 5
    assert {authorization for authorization, _ in sink.exports} == {"Bearer s3cret"}
    resources = [each for _, export in sink.exports for each in export.resource_spans]
    spans = [s for each in resources for scope in each.scope_spans for s in scope.spans]
    ids = {call.span_id for call in calls} | {attempt.span_id for attempt in attempts}
    assert {s.span_id.hex() for s in spans} == ids
    named = {pair.key: pair.value.string_value for pair in resources[0].resource.attributes}
    assert named["service.name"] == "edge"
    assert named["service.instance.id"] == reader.producer.instance_id


def test_without_otlp_there_are_facts(sink: _Sink, tmp_path: Path) -> None:
    """Spans are a choice; facts are written without any."""
    with _gateway(["--upstream", f"engine-a={sink.url}"], tmp_path / "journals") as (process, url):
        httpx.post(url + PATH, json={"model": "m"})
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    assert sink.exports == []
    (path,) = scan(tmp_path / "journals")
    reader = JournalReader.open(path)
    assert any(isinstance(fact, GatewayCall) for fact in reader.read())
    reader.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--upstream"),
        (["--upstream", "engine-a"], "write NAME=URL"),
        (["--upstream", "a=http://x", "--otlp-token-file", "/nowhere"], "/nowhere"),
        (["--upstream", "a=http://x", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1:"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str) -> None:
    """A wrong argument ends the program with a sentence that names it."""
    done = subprocess.run(
        [sys.executable, "-m", MODULE, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
