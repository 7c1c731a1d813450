"""Nsight Systems' SQLite exports (`nsys export --type sqlite`).

Tables are made only where there is something to hold, and columns differ between versions, so both
are looked up first. Times are nanoseconds after the session's start, which
TARGET_INFO_SESSION_START_TIME gives in wall time in newer exports. Serialized thread ids hold the
process in bits 24 to 47. Source: docs.nvidia.com/nsight-systems, "SQLite Export Schema Reference"
(2021.5 and later).
"""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from otel_llm.errors import ProfileError
from otel_llm.kernels.imports.profile import Profile, Reading

_KERNELS = "CUPTI_ACTIVITY_KIND_KERNEL"
_COPIES = "CUPTI_ACTIVITY_KIND_MEMCPY"
_FILLS = "CUPTI_ACTIVITY_KIND_MEMSET"
_GRAPHS = "CUPTI_ACTIVITY_KIND_GRAPH_TRACE"
_CALLS = ("CUPTI_ACTIVITY_KIND_RUNTIME", "CUPTI_ACTIVITY_KIND_DRIVER")
_RANGES = "NVTX_EVENTS"
_PUSH_POP, _START_END = 59, 60
"""`eventType` of NVTX ranges."""
_COPY_KINDS = {1: "HtoD", 2: "DtoH", 8: "DtoD", 9: "HtoH", 10: "PtoP"}
"""CUpti_ActivityMemcpyKind of cupti_activity.h."""
_BEHIND = "a damaged or foreign file; export it again: nsys export --type sqlite FILE.nsys-rep"


def read_nsys(path: Path, step_mark: "re.Pattern[str]") -> Profile:
    """Read an export.

    Args:
        path: the database.
        step_mark: what an NVTX range of a step looks like, as a whole; its first group, if there is
            one, is the step's number.

    Raises:
        ProfileError: it is no export, or holds no kernels.
    """
    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
    try:
        return _Export(connection).read(step_mark)
    except sqlite3.DatabaseError as error:
        message = f"{path.name} cannot be read as an nsys export ({error}): {_BEHIND}."
        raise ProfileError(message) from error
    finally:
        connection.close()


class _Export:
    def __init__(self, connection: sqlite3.Connection) -> None:
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        self._connection = connection
        self._reading = Reading()
        self._processes: dict[int, int] = {}

    def read(self, step_mark: "re.Pattern[str]") -> Profile:
        for table in (_KERNELS, _GRAPHS, _COPIES, _FILLS):
            self._on_device(table)
        for table in _CALLS:
            self._calls(table)
        self._marks(step_mark)
        kernels = self._reading.kernels()
        if not len(kernels):
            dropped = dict(self._reading.dropped)
            told = f": {dropped}" if dropped else ". Was it recorded with --trace=cuda?"
            message = f"No kernel of this export can be used{told}"
            raise ProfileError(message)
        return Profile(
            "nsys", kernels, self._start(), self._reading.steps, self._reading.dropped, self._host()
        )

    def _on_device(self, table: str) -> None:
        wanted = ("start", "end", "deviceId", "streamId", "correlationId", "globalPid",
                  "demangledName", "shortName", "copyKind", "graphId")  # fmt: skip
        if not self._columns(table):
            return
        names = self._names()
        for (
            start,
            end,
            device,
            stream,
            correlation,
            process,
            long,
            short,
            kind,
            graph,
        ) in self._rows(table, wanted):
            name = names.get(long) or names.get(short)
            if table == _COPIES:
                name = f"Memcpy {_COPY_KINDS.get(kind, '')}".strip()
            elif table == _FILLS:
                name = "Memset"
            elif table == _GRAPHS:
                name = f"CUDA graph {graph}"
            if name is None or not _whole(start, end, stream or 0, correlation or 0):
                self._reading.dropped["malformed"] += 1
                continue
            key = self._key(process, correlation or 0)
            self._reading.kernel(name, start, end - start, str(device or 0), stream or 0, key)

    def _calls(self, table: str) -> None:
        for start, correlation, thread in self._rows(
            table, ("start", "correlationId", "globalTid")
        ):
            if _whole(start, correlation) and correlation:
                self._reading.launch(self._key(thread, correlation), start)

    def _marks(self, step_mark: "re.Pattern[str]") -> None:
        names = self._names() if "textId" in self._columns(_RANGES) else {}
        wanted = ("start", "end", "eventType", "text", "textId")
        for start, end, kind, text, number in self._rows(_RANGES, wanted):
            name = text if isinstance(text, str) else names.get(number)
            found = step_mark.fullmatch(name) if name else None
            if found and kind in (None, _PUSH_POP, _START_END) and _whole(start, end):
                told = found[1] if found.re.groups else None
                step = int(told) if told and told.isdecimal() else None
                self._reading.mark(step, start, end - start)

    def _key(self, serialized: object, correlation: int) -> int:
        """Correlation ids are unique in a process alone; one number for both."""
        process = (serialized >> 24) & 0xFFFFFF if isinstance(serialized, int) else 0
        place = self._processes.setdefault(process, len(self._processes))
        return (place << 40) + correlation if correlation else 0

    def _names(self) -> dict[object, str]:
        return {key: value for key, value in self._rows("StringIds", ("id", "value"))
                if isinstance(value, str)}  # fmt: skip

    def _start(self) -> int | None:
        table = "TARGET_INFO_SESSION_START_TIME"
        for (start,) in self._rows(table, ("utcEpochNs",)):
            return start if isinstance(start, int) else None
        return None

    def _host(self) -> str:
        for name, value in self._rows("TARGET_INFO_SYSTEM_ENV", ("name", "value")):
            if name == "Hostname" and isinstance(value, str):
                return value[:256]
        return ""

    def _columns(self, table: str) -> set[str]:
        return {row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")}

    def _rows(self, table: str, wanted: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
        """Rows with None for the columns that this export does not have; none without the table."""
        there = self._columns(table)
        if there:
            columns = ", ".join(f'"{name}"' if name in there else "NULL" for name in wanted)
            yield from self._connection.execute(f"SELECT {columns} FROM {table}")  # noqa: S608


def _whole(*values: object) -> bool:
    return all(isinstance(value, int) for value in values)
