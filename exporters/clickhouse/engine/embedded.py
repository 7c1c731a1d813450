"""chDB opened for one data directory: handles for queries, streams and inserts.

A handle is a session of the engine. Opening one takes 0.6 ms, so every request gets its own and
no setting or database leaks from one request to the next.
"""

import contextlib
import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_llm import private_dir
from otel_llm.errors import MissingExtraError, StoreError
from otel_llm.exporters.clickhouse.engine import deduplication
from otel_llm.exporters.clickhouse.engine.config import write_config
from otel_llm.exporters.clickhouse.engine.incoming import INCOMING, from_incoming, incoming
from otel_llm.exporters.clickhouse.engine.lock import DirectoryLock
from otel_llm.exporters.clickhouse.errors import EngineError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

DATABASE = "otel"
"""Database of all tables in the embedded engine.

chDB lays the working directory's files over the database `default`; ours has none.
"""

_SETTING = re.compile(r"[a-z][a-z0-9_]*\Z")


def quote(text: str) -> str:
    """A ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Counts(NamedTuple):
    """What a statement read.

    Attributes:
        rows, bytes: read from tables and generators.
        elapsed_ns: how long it ran, in nanoseconds.
    """

    rows: int
    bytes: int
    elapsed_ns: int


class Handle:
    """One session of the engine. Not for use by two threads at the same time."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401  chDB is untyped
        self._connection = connection

    def use(self, database: str) -> None:
        """Make `database` the current one.

        Raises:
            EngineError: there is no such database.
        """
        self.run("USE `" + database.replace("\\", "\\\\").replace("`", "\\`") + "`")

    def set(self, settings: Mapping[str, str]) -> None:
        """Set query settings for this session.

        Raises:
            EngineError: the engine does not know one or refuses its value.
        """
        for name in settings:
            if not _SETTING.match(name):
                raise EngineError(115, f"Unknown setting {name!r}", "UNKNOWN_SETTING")
        if settings:
            pairs = ", ".join(f"{name} = {quote(value)}" for name, value in settings.items())
            self.run(f"SET {pairs}")

    def run(
        self, sql: str, fmt: str = "TabSeparated", params: Mapping[str, str] | None = None
    ) -> bytes:
        """Execute one statement and return its whole result in format `fmt`.

        Raises:
            EngineError: with ClickHouse's code and text.
        """
        return self.run_counted(sql, fmt, params)[0]

    def run_counted(
        self, sql: str, fmt: str, params: Mapping[str, str] | None = None
    ) -> tuple[bytes, Counts]:
        """As `run`, and what it took.

        Raises:
            EngineError: with ClickHouse's code and text.
        """
        with _engine_errors():
            result = self._connection.query(sql, fmt, params=dict(params or {}))
            # `rows_read` of chDB counts the result.
            read = (result.storage_rows_read(), result.storage_bytes_read())
            counts = Counts(*read, int(result.elapsed() * 1e9))
            return bytes(result.bytes() or b""), counts

    def stream(
        self, sql: str, fmt: str, params: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """Execute one statement and yield its result block by block.

        Raises:
            EngineError: with ClickHouse's code and text, also in mid-stream.
        """
        with _engine_errors():
            chunks = self._connection.send_query(sql, fmt, params=dict(params or {}))
        try:
            while True:
                with _engine_errors():
                    chunk = chunks.fetch()
                if chunk is None:
                    return
                yield bytes(chunk.bytes())
        finally:
            chunks.close()

    def insert(self, statement: str, fmt: str, data: bytes) -> int:
        """Insert `data`, encoded in format `fmt`, by an INSERT that names table and columns.

        Returns:
            Rows written, rows of dependent views included.

        Raises:
            EngineError: with ClickHouse's code and text; nothing of the failing block is stored.
        """
        return self.load(from_incoming(statement, fmt), data)

    def load(self, statement: str, data: bytes) -> int:
        """Run a complete INSERT with `INCOMING` in it, which stands for `data`.

        Returns:
            Rows written, rows of dependent views included.

        Raises:
            EngineError: with ClickHouse's code and text; nothing of the failing block is stored.
        """
        with incoming(data) as path, _engine_errors():
            result = self._connection.query(statement.replace(INCOMING, path), "Null")
            return int(result.rows_written())

    def close(self) -> None:
        """End the session."""
        self._connection.close()


class Engine:
    """The embedded ClickHouse of one data directory.

    Args:
        data_dir: created with mode 0700 if missing. One process owns it at a time.
        memory_bytes: memory limit of the engine.
        role: what the owner calls itself, for the error a second one gets.

    Raises:
        StoreError: the directory is taken, not private, or cannot be opened.
        MissingExtraError: chDB is not installed.
    """

    def __init__(self, data_dir: Path, memory_bytes: int = 2 << 30, role: str = "otel-llm") -> None:
        self.data_dir = data_dir.expanduser().absolute()
        try:
            problem = private_dir.make(self.data_dir)
        except OSError as error:
            message = f"The data directory {self.data_dir} cannot be used: {error.strerror}."
            raise StoreError(message) from error
        if problem is not None:
            message = f"data_dir: {problem}. Choose another --data-dir, or make it yours alone."
            raise StoreError(message)
        self._lock = DirectoryLock(self.data_dir, role)
        self.path = str(self.data_dir / "clickhouse")
        self.options = {"config-file": str(write_config(self.data_dir, memory_bytes))}
        try:
            deduplication.mend(Path(self.path))
            # Held until close: chDB stops its engine when the last handle goes.
            self._keeper = self.handle(None)
            self._keeper.run(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")
        except BaseException:
            self._lock.release()
            raise

    def handle(self, database: str | None = DATABASE) -> Handle:
        """Open a session with `database` as the current one. The caller closes it."""
        try:
            connection = _chdb().connect(f"{self.path}?config-file={self.options['config-file']}")
        except RuntimeError as error:
            message = f"The embedded ClickHouse cannot open {self.path}: {error}"
            raise StoreError(message) from error
        handle = Handle(connection)
        if database is not None:
            handle.use(database)
        return handle

    @contextlib.contextmanager
    def session(self, database: str = DATABASE) -> Iterator[Handle]:
        """A handle for the length of a `with` block."""
        handle = self.handle(database)
        try:
            yield handle
        finally:
            handle.close()

    def client(self) -> "Client":
        """A clickhouse-connect client of this engine, in this process. The caller closes it."""
        import clickhouse_connect

        return clickhouse_connect.get_client(
            interface="chdb", path=self.path, chdb_options=self.options, database=DATABASE
        )

    def cancel_queries(self) -> None:
        """Ask every running SELECT to end; INSERTs are left to finish."""
        with self.session() as handle:
            handle.run("KILL QUERY WHERE query_kind = 'Select' ASYNC")

    def close(self) -> None:
        """Close the engine and free the directory. Every handle must be closed before."""
        self._keeper.close()
        self._lock.release()


@contextlib.contextmanager
def _engine_errors() -> Iterator[None]:
    """Turn chDB's errors, which are text, into `EngineError`."""
    try:
        yield
    except (_chdb().ChdbError, RuntimeError) as error:
        raise EngineError.parse(str(error)) from error


def _chdb() -> Any:  # noqa: ANN401  chDB is untyped
    try:
        return importlib.import_module("chdb")
    except ImportError as error:
        raise MissingExtraError("The embedded store", "embedded") from error
