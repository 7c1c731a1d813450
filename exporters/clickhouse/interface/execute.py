"""Run a judged request on the engine."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from otel_llm.exporters.clickhouse.door import Judge
from otel_llm.exporters.clickhouse.door.policy import FORMATS
from otel_llm.exporters.clickhouse.door.walk import refuse
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.engine.embedded import Counts
from otel_llm.exporters.clickhouse.errors import EngineError
from otel_llm.exporters.clickhouse.interface.native import as_revision
from otel_llm.exporters.clickhouse.interface.request import Ask

# Blocks of these are whole in themselves, so that one after the other makes one valid result.
_STREAMED = frozenset(
    {
        "CSV", "JSONCompactEachRow", "JSONEachRow", "JSONLines", "JSONStringsEachRow", "NDJSON",
        "Native", "RowBinary", "TSKV", "TSV", "TSVRaw", "TabSeparated", "TabSeparatedRaw",
    }
)  # fmt: skip
_NOTHING = Counts(0, 0, 0)
_WRITES = frozenset({"AlterQuery", "CreateQuery", "InsertQuery"})
# Taken from callers for their peace of mind; inserts here are always synchronous and atomic.
_IGNORED = frozenset(
    {
        "async_insert", "async_insert_busy_timeout_ms", "wait_for_async_insert",
        "wait_for_async_insert_timeout", "wait_end_of_query",
    }
)  # fmt: skip


class Answer(NamedTuple):
    """The result of a request.

    Attributes:
        format: format of the blocks.
        blocks: the result, block by block; the first has been computed.
        summary: value of X-ClickHouse-Summary.
    """

    format: str
    blocks: Iterator[bytes]
    summary: str


class Executor:
    """Judges and runs requests. Thread-safe: each request has its own session.

    Args:
        engine: the embedded ClickHouse.
        judge: the door.
        limits: settings applied to every statement, which callers may tighten.
        result_bytes: most bytes of a result that cannot be streamed.
    """

    def __init__(
        self, engine: Engine, judge: Judge, limits: dict[str, str], result_bytes: int
    ) -> None:
        self._engine = engine
        self._judge = judge
        self._limits = limits
        self._result_bytes = result_bytes

    def execute(self, ask: Ask) -> Answer:
        """Run what `ask` asks for.

        Raises:
            EngineError: it may not run, or ClickHouse refused it. A stream may raise later too.
        """
        statement = _decoded(ask.split.statement)
        judged = {name: self._judge.setting(name, value) for name, value in ask.settings.items()}
        ask = ask._replace(settings=judged)
        if ask.split.format is not None:
            if ask.read_only:
                raise _read_only()
            return self._insert(ask, statement)
        verdict = self._judge.judge(statement, ask.database, ask.params)
        if ask.read_only and verdict.kind in _WRITES:
            raise _read_only()
        fmt = verdict.format or ask.default_format
        if fmt not in FORMATS:
            refuse(f"format {fmt}")
        streamed = fmt in _STREAMED and verdict.kind == "SelectWithUnionQuery"
        # Of a stream nothing is known when its headers go, as on a server.
        counts: list[Counts] = []
        blocks = (
            self._stream(ask, statement, fmt)
            if streamed
            else self._whole(ask, statement, fmt, counts)
        )
        if fmt == "Native":
            blocks = as_revision(blocks, ask.revision)
        if ask.buffered or not streamed:
            blocks = self._bounded(blocks)
        first = next(blocks, b"")
        return Answer(fmt, _chain(first, blocks), _summary(counts[0] if counts else _NOTHING))

    def _insert(self, ask: Ask, statement: str) -> Answer:
        fmt = str(ask.split.format)
        runnable = self._judge.judge_insert(statement, fmt, ask.database, ask.params)
        with self._engine.session(ask.database) as handle:
            handle.set(self._settings(ask))
            written = handle.load(runnable, ask.split.data)
        size = len(ask.split.data)
        return Answer("TabSeparated", iter(()), _summary(written=written, size=size))

    def _stream(self, ask: Ask, statement: str, fmt: str) -> Iterator[bytes]:
        with self._engine.session(ask.database) as handle:
            handle.set(self._settings(ask))
            yield from handle.stream(statement, fmt, ask.params)

    def _whole(self, ask: Ask, statement: str, fmt: str, counts: "list[Counts]") -> Iterator[bytes]:
        with self._engine.session(ask.database) as handle:
            handle.set({"max_result_bytes": str(self._result_bytes), **self._settings(ask)})
            result, came = handle.run_counted(statement, fmt, ask.params)
            counts.append(came)
            yield result

    def _bounded(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The whole result at once, so that an error in it is seen before the first byte."""
        whole = bytearray()
        for block in blocks:
            whole += block
            if len(whole) > self._result_bytes:
                detail = (
                    f"Limit for result exceeded, max bytes: {self._result_bytes}. "
                    "Add a LIMIT, or read without wait_end_of_query"
                )
                raise EngineError(396, detail, "TOO_MANY_ROWS_OR_BYTES")
        yield bytes(whole)

    def _settings(self, ask: Ask) -> dict[str, str]:
        given = {name: value for name, value in ask.settings.items() if name not in _IGNORED}
        return {**self._limits, **given}


def _read_only() -> EngineError:
    detail = (
        "Cannot execute query in readonly mode. For queries over HTTP, method GET implies "
        "readonly, and so does a user that may only read. Use POST and user otel_llm for "
        "statements that change something"
    )
    return EngineError(164, detail, "READONLY")


def _decoded(statement: bytes) -> str:
    try:
        return statement.decode()
    except UnicodeDecodeError as error:
        raise EngineError(62, "Syntax error: the statement is not UTF-8", "SYNTAX_ERROR") from error


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _summary(read: Counts = _NOTHING, written: int = 0, size: int = 0) -> str:
    """X-ClickHouse-Summary, whose numbers are texts."""
    figures = {
        "read_rows": read.rows,
        "read_bytes": read.bytes,
        "written_rows": written,
        "written_bytes": size,
        "elapsed_ns": read.elapsed_ns,
    }
    return json.dumps({name: str(value) for name, value in figures.items()})
