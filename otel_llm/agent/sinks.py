"""The two sinks: ClickHouse for rows, an OTLP/HTTP endpoint for spans."""

import datetime as dt
from pathlib import Path

import httpx
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClickHouseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_llm import pinning, runfile
from otel_llm.agent.delivery import AwayError, RefusedError
from otel_llm.agent.spool import Batch, SinkName
from otel_llm.errors import SettingError, StoreError
from otel_llm.exporters.clickhouse.client import connect_server
from otel_llm.exporters.clickhouse.errors import http_status
from otel_llm.exporters.clickhouse.writer import insert_arrow_block
from otel_llm.runfile import RunFile
from otel_llm.settings import Settings

_THROTTLED = frozenset({408, 429})
_MISCONFIGURED = frozenset({401, 403, 404, 405})
"""These speak of address, token or schema, not of the batch: an operator mends them."""
_PROTOBUF = "application/x-protobuf"


def check_status(status: int, detail: str) -> None:
    """Turn an HTTP status into what it means for the batch.

    Raises:
        AwayError: try again.
        RefusedError: the batch itself is at fault.
    """
    if 200 <= status < 300:
        return
    message = f"answered {status}: {detail[:200]}"
    if status in _THROTTLED:
        raise AwayError("throttled", message)
    if status in _MISCONFIGURED or status < 400:
        raise AwayError("misconfigured", message)
    if status >= 500:
        raise AwayError("server_error", message)
    raise RefusedError(message)


class ClickHouseSink:
    """Inserts blocks of rows.

    Args:
        settings: address, token and time limit.
    """

    name: SinkName = "clickhouse"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None

    def send(self, batch: Batch) -> int:
        """Deliver a batch; see `Sink.send`."""
        try:
            if self._client is None:
                self._client = connect_server(self._settings)
            insert_arrow_block(self._client, batch.target, batch.body, batch.token)
        except SettingError as error:
            raise AwayError("misconfigured", str(error)) from error
        except (ClickHouseError, StoreError) as error:
            meaning = classified(error)
            if self._client is None and isinstance(meaning, RefusedError):
                # Nothing of the batch was sent yet: what answers is not the store.
                meaning = AwayError("misconfigured", str(meaning))
            self.close()
            raise meaning from error
        return 0

    def close(self) -> None:
        """Let go of the connection; the next batch makes another, perhaps to another address."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def classified(error: Exception) -> AwayError | RefusedError:
    """What an error of the ClickHouse client, or our own around it, means for the batch."""
    detail = str(error)
    status = http_status(error)
    if status is None:
        reason = "timeout" if "timed out" in detail else "unreachable"
        return AwayError(reason, f"ClickHouse cannot be reached: {detail}")
    try:
        check_status(status, detail)
    except (AwayError, RefusedError) as meaning:
        return meaning
    return AwayError("server_error", detail)


class OtlpSink:
    """Posts spans to an OTLP/HTTP endpoint.

    Args:
        settings: endpoint, token and time limit.
    """

    name: SinkName = "otlp"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._certificate = ""
        self._http = httpx.Client(timeout=settings.send_timeout_s)

    def send(self, batch: Batch) -> int:
        """Deliver a batch; see `Sink.send`."""
        url, token, certificate = self._endpoint()
        self._trust(certificate)
        headers = {"content-type": _PROTOBUF}
        if token:
            headers["authorization"] = f"Bearer {token}"
        try:
            answer = self._http.post(f"{url}/v1/traces", content=batch.body, headers=headers)
            # What it was read from knows the answer, which knows its request: a cycle with the
            # batch's bytes in it, until Python looks for cycles.
            answer.stream = httpx.ByteStream(b"")
        except httpx.TimeoutException as error:
            message = f"{url} did not answer in {self._settings.send_timeout_s:g} s"
            raise AwayError("timeout", message) from error
        except httpx.LocalProtocolError:
            # Its text, and that of its cause, holds the header: the token.
            message = f"{url}: the token or the address holds characters that HTTP cannot carry"
            raise AwayError("misconfigured", message) from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            message = f"{url} cannot be reached: {error}"
            raise AwayError("unreachable", message) from error
        # Not `answer.text`: it believes any character set that the answer names.
        said = answer.content[:200].decode("utf-8", "replace")
        check_status(answer.status_code, f"{url} said {said!r}")
        _check_type(url, answer)
        return _rejected(answer.content)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def _trust(self, certificate: str) -> None:
        """Let the endpoint show this certificate alone, as the running `up`'s run file says."""
        if certificate == self._certificate:
            return
        self._http.close()
        verify = pinning.context(certificate) if certificate else True
        self._http = httpx.Client(timeout=self._settings.send_timeout_s, verify=verify)
        self._certificate = certificate

    def _endpoint(self) -> tuple[str, str, str]:
        """Base URL, token and certificate: those of the settings, else the running `up`'s."""
        if self._settings.otlp_endpoint:
            return self._settings.otlp_endpoint.rstrip("/"), self._settings.otlp_token, ""
        running = running_up(self._settings)
        try:
            running.check_certificate(dt.datetime.now(dt.timezone.utc))
            token = self._settings.otlp_token or running.token
            return running.otlp_url, token, running.certificate
        except StoreError as error:
            raise AwayError("misconfigured", str(error)) from error


def running_up(settings: Settings) -> RunFile:
    """What the running `up` says about itself.

    Raises:
        AwayError: none runs on the data directory.
    """
    running = runfile.read(Path(settings.data_dir))
    if running is None:
        message = f"no sink is named in the settings, and no `otel-llm up` on {settings.data_dir}"
        raise AwayError("unreachable", message)
    return running


def _check_type(url: str, answer: httpx.Response) -> None:
    """A login page answers 200 to everything; only an OTLP endpoint answers in protobuf.

    Raises:
        AwayError: somebody else answered.
    """
    given = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.content and given != _PROTOBUF:
        message = f"{url} answered {given[:100]!r}, not {_PROTOBUF}: it is no OTLP endpoint"
        raise AwayError("misconfigured", message)


def _rejected(answer: bytes) -> int:
    """Spans that the endpoint says it did not keep. An answer we cannot read says nothing."""
    response = ExportTraceServiceResponse()
    try:
        response.ParseFromString(answer)
    except DecodeError:
        return 0
    return max(0, response.partial_success.rejected_spans)
