"""Read one request of ClickHouse's HTTP interface into what it asks for."""

import re
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import NamedTuple

from starlette.requests import Request

from otel_llm.exporters.clickhouse.engine import DATABASE
from otel_llm.exporters.clickhouse.errors import EngineError
from otel_llm.exporters.clickhouse.interface.encoding import Encoder, choose
from otel_llm.exporters.clickhouse.interface.sessions import DEFAULT_S, LONGEST_S, SessionAsk
from otel_llm.exporters.clickhouse.interface.statement import Split, split

# Parameters that a ClickHouse server's HTTP handler takes for itself. Roles and quotas do not exist
# here, and every statement runs in a session of the engine of its own.
_HANDLER = frozenset(
    {
        "add_http_cors_header", "buffer_size", "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version", "compress", "database", "decompress", "default_format",
        "enable_http_compression", "http_headers_progress_interval_ms",
        "http_zlib_compression_level", "password", "query", "query_id",
        "quota_key", "role", "send_progress_in_http_headers", "session_check", "session_id",
        "session_timeout", "stacktrace", "user", "wait_end_of_query",
    }
)  # fmt: skip

_NO_TABLES = (
    "external tables are not supported here. Put the rows into the statement, as "
    "values('a UInt8', 1, 2), or INSERT them into a table"
)
_QUERY_ID = re.compile(r"[\w.:-]{0,200}\Z", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,10}\Z")


class Ask(NamedTuple):
    """What a request asks for.

    Attributes:
        split: statement, format and data.
        database: current database.
        settings: query settings by name.
        params: query parameters by name, in ClickHouse's escaped text form.
        default_format: format of the result if the statement names none.
        query_id: the caller's id of the query; may be empty.
        revision: Native protocol revision the caller reads; 0 for none.
        buffered: the caller wants the whole result or an error, no stream.
        read_only: the statement may not change anything, as with every GET and HEAD.
        framed: the caller reads ClickHouse's own compression (`compress=1`).
        session: the session to run in, or None.
    """

    split: Split
    database: str
    settings: Mapping[str, str]
    params: Mapping[str, str]
    default_format: str
    query_id: str
    revision: int
    buffered: bool
    read_only: bool
    framed: bool = False
    session: SessionAsk | None = None


def is_on(query: Mapping[str, str], name: str) -> bool:
    """Whether a flag of the URL is set."""
    return query.get(name, "0") not in ("0", "false", "")


def encoder(request: Request) -> Encoder:
    """How the answer to a request is compressed.

    Raises:
        EngineError: the level is no number.
    """
    query = request.query_params
    wanted = query.get("enable_http_compression", "1") not in ("0", "false")
    accepted = request.headers.get("accept-encoding", "") if wanted else ""
    level = _number(query, "http_zlib_compression_level", "3")
    return choose(accepted, is_on(query, "compress"), min(max(level, 1), 9))


def read_ask(request: Request, body: bytes, user: str, may_write: bool) -> Ask:
    """Put URL parameters, headers and body together as ClickHouse does.

    Args:
        request: the request.
        body: its body, decompressed.
        user: whose session it is.
        may_write: whether the user may change anything.

    Raises:
        EngineError: a part of the request is not understood.
    """
    query = dict(request.query_params)
    text = query.get("query", "").encode()
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        fields = _form(request, body)
        text = text or fields.pop("query", "").encode()
        query.update(fields)
    elif text and body:
        text = text + b"\n" + body
    else:
        text = text or body
    if query.get("role"):
        # Who asks for a role asks to be allowed less; that must not pass in silence.
        raise EngineError(511, "There are no roles here", "UNKNOWN_ROLE")
    # A caller may give up the right to write; it cannot take it.
    gives_up = query.get("readonly") in ("1", "2") and bool(query.pop("readonly"))
    database = query.get("database") or request.headers.get("x-clickhouse-database", "")
    return Ask(
        split=split(text),
        # A caller's "default" database is the one the server chose for it: ours.
        database=DATABASE if database in ("", "default") else database,
        settings={k: v for k, v in query.items() if k not in _HANDLER and not _is_param(k)},
        params={k.removeprefix("param_"): v for k, v in query.items() if _is_param(k)},
        default_format=_format(query, request),
        query_id=_query_id(query),
        revision=_number(query, "client_protocol_version"),
        buffered=is_on(query, "wait_end_of_query"),
        read_only=request.method != "POST" or gives_up or not may_write,
        framed=is_on(query, "compress"),
        session=_session(query, user),
    )


def _session(query: Mapping[str, str], user: str) -> SessionAsk | None:
    name = query.get("session_id", "")
    if not name:
        return None
    if not _QUERY_ID.match(name):
        detail = "session_id may hold up to 200 letters, digits and . _ : - only"
        raise EngineError(36, detail, "BAD_ARGUMENTS")
    timeout_s = _number(query, "session_timeout", str(DEFAULT_S))
    if timeout_s > LONGEST_S:
        detail = f"Session timeout {timeout_s} is larger than the maximum of {LONGEST_S} s"
        raise EngineError(374, detail, "INVALID_SESSION_TIMEOUT")
    return SessionAsk((user, name), timeout_s, is_on(query, "session_check"))


def _is_param(name: str) -> bool:
    return name.startswith("param_")


def _format(query: Mapping[str, str], request: Request) -> str:
    return (
        query.get("default_format") or request.headers.get("x-clickhouse-format") or "TabSeparated"
    )


def _query_id(query: Mapping[str, str]) -> str:
    """The caller's id goes back in a header, so it may hold only what a header may."""
    value = query.get("query_id", "")
    if not _QUERY_ID.match(value):
        detail = "query_id may hold up to 200 letters, digits and . _ : - only"
        raise EngineError(36, detail, "BAD_ARGUMENTS")
    return value


def _number(query: Mapping[str, str], name: str, default: str = "0") -> int:
    value = query.get(name, default)
    # Python refuses to read numbers of thousands of digits, and an error must not repeat them.
    if not _NUMBER.match(value):
        shown = f"{value[:20]!r}" + (f" (cut, {len(value)} characters)" if value[20:] else "")
        detail = f"{name} must be a number of at most 10 digits, not {shown}"
        raise EngineError(36, detail, "BAD_ARGUMENTS")
    return int(value)


def _form(request: Request, body: bytes) -> dict[str, str]:
    """Text fields of a multipart form: clickhouse-connect sends long parameters this way."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    fields: dict[str, str] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            raise EngineError(36, "the form's parts need names", "BAD_ARGUMENTS")
        if part.get_filename() is not None:  # clickhouse-go gives an empty one
            raise EngineError(48, _NO_TABLES, "NOT_IMPLEMENTED")
        fields[name] = _utf8(payload)
    return fields


def _utf8(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        detail = f"a field of the form is not UTF-8 at its byte {error.start}; send UTF-8"
        raise EngineError(36, detail, "BAD_ARGUMENTS") from error
