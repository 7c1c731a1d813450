"""The store and the OTLP endpoint: whether they answer, and whether the schema is current."""

import datetime as dt
import importlib.util
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from otel_llm.cli.checks.finding import Finding, Status
from otel_llm.cli.extras import needs
from otel_llm.cli.store import store
from otel_llm.errors import OtelLLMError
from otel_llm.settings import Settings

if TYPE_CHECKING:
    import ssl

    from clickhouse_connect.driver.client import Client

    from otel_llm.runfile import RunFile

_AREA = "store"
_TIMEOUT_S = 5.0
_DIFFERS = 'docs/schema.md, "When a table differs"'


def check(settings: Settings) -> Iterator[Finding]:
    """Look at chDB, the running `up` or the ClickHouse of the settings, and the OTLP endpoint."""
    yield _chdb()
    from otel_llm import runfile

    running = runfile.read(Path(settings.data_dir))
    if running is None and not settings.clickhouse_url:
        detail = f"`up` is not running on {settings.data_dir}, and no clickhouse_url is set"
        yield Finding(_AREA, "store", "off", detail, "otel-llm up")
    else:
        yield from _schema(settings)
    yield from _otlp(settings, running)
    if running is not None:
        yield _tls(running, dt.datetime.now(dt.timezone.utc))
    if settings.up_key_file:
        yield from _key(Path(settings.up_key_file))


def _chdb() -> Finding:
    if importlib.util.find_spec("chdb") is None:
        remedy = "pip install 'otel-llm[embedded]', or use a ClickHouse server"
        return Finding(_AREA, "chdb", "off", "not installed: no embedded ClickHouse", remedy)
    try:
        import chdb
    except ImportError as error:
        remedy = "pip install --force-reinstall 'clickhouse-connect[chdb]'"
        return Finding(_AREA, "chdb", "problem", f"installed, but fails: {error}", remedy)
    return Finding(_AREA, "chdb", "ok", f"ClickHouse {chdb.engine_version}")


def _schema(settings: Settings) -> Iterator[Finding]:
    try:
        with store(None, None) as client, needs("The schema", "store"):
            from otel_llm.exporters.clickhouse import schema

            yield _server(client)
            missing = schema.pending(client, settings.clickhouse_cluster)
            different = schema.differences(client, settings.clickhouse_cluster, missing)
    except OtelLLMError as error:
        yield Finding(_AREA, "store", "problem", str(error), "otel-llm up, or mend clickhouse_url")
        return
    for each in different:
        detail = f"differs: {', '.join(each.clauses)}"
        remedy = _DIFFERS if each.problems else "otel-llm schema apply"
        yield Finding(_AREA, each.table, "problem", detail, remedy)
    if missing:
        names = ", ".join(statement.name for statement in missing)
        yield Finding(_AREA, "schema", "problem", f"not applied: {names}", "otel-llm schema apply")
    elif not different:
        yield Finding(_AREA, "schema", "ok", "current")


def _server(client: "Client") -> Finding:
    from otel_llm.exporters.clickhouse.client import OLDEST_SERVER

    detail = f"ClickHouse {client.server_version} answers"
    if client.min_version(OLDEST_SERVER):
        return Finding(_AREA, "store", "ok", detail)
    remedy = f"ClickHouse {OLDEST_SERVER} or newer"
    return Finding(_AREA, "store", "problem", f"{detail}, and is too old", remedy)


def _tls(running: "RunFile", now: dt.datetime) -> Finding:
    from otel_llm import x509

    where = f"{running.clickhouse_url}, {running.otlp_url}, {running.otlp_grpc_url}"
    if running.not_after is not None:
        left = running.not_after - now
        if left < x509.RENEW:
            status: Status = "warning" if left > dt.timedelta(0) else "problem"
            detail = f"the certificate of `up` {x509.expiry(running.not_after, now)}"
            return Finding(_AREA, "tls", status, detail, "renew it, then restart `up`")
        return Finding(_AREA, "tls", "ok", f"`up` speaks TLS: {where}")
    detail = f"`up` speaks plain text: {where}"
    return Finding(_AREA, "tls", "off", detail, "set up_cert_file and up_key_file")


def _key(path: Path) -> Iterator[Finding]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        detail = f"{path} cannot be looked at: {error.strerror}"
        yield Finding(_AREA, "up_key_file", "problem", detail, "mend OTEL_LLM_UP_KEY_FILE")
        return
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        detail = f"others may write to {path}: `up` refuses it"
        yield Finding(_AREA, "up_key_file", "problem", detail, f"chmod go-w {path}")
    elif mode & stat.S_IROTH:
        detail = f"anybody may read the key in {path}"
        yield Finding(_AREA, "up_key_file", "warning", detail, f"chmod o-r {path}")


def _otlp(settings: Settings, running: "RunFile | None") -> Iterator[Finding]:
    endpoint, token = settings.otlp_endpoint, settings.otlp_token
    tls = None
    if not endpoint and running is not None:
        endpoint, token, tls = running.otlp_url, token or running.token, running.tls
    if not endpoint:
        yield Finding(_AREA, "otlp", "off", "no endpoint: spans go nowhere", "otel-llm up")
        return
    problem = _empty_export(endpoint, token, tls)
    remedy = "mend OTEL_LLM_OTLP_ENDPOINT or OTEL_LLM_OTLP_TOKEN" if problem else ""
    detail = f"{endpoint} {problem or 'takes spans'}"
    yield Finding(_AREA, "otlp", "problem" if problem else "ok", detail, remedy)


def _empty_export(endpoint: str, token: str, tls: "ssl.SSLContext | None") -> str:
    """Send an export request without spans. What is wrong, or nothing."""
    with needs("Asking the OTLP endpoint", "cli"):
        import httpx
    headers = {"content-type": "application/x-protobuf"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    try:
        answer = httpx.post(
            f"{endpoint.rstrip('/')}/v1/traces",
            content=b"",
            headers=headers,
            timeout=_TIMEOUT_S,
            verify=tls or True,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"does not answer ({error})"
    return "" if answer.is_success else f"answers {answer.status_code}"
