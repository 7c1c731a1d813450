"""Run the escapes on a ClickHouse without door and grants, and report which of them work.

Runs as a process of its own: chDB has one engine per process, and escapes may harm it.
"""

import importlib
import json
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from tests.exporters.clickhouse.door.escapes import CANARY, ESCAPES, PARAMS, Escape

chdb: Any = importlib.import_module("chdb")  # untyped


class Listener:
    """Counts who connects."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.seen = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            self.seen += 1
            connection.sendall(b"HTTP/1.0 404 no\r\n\r\n")
            connection.close()


def main(report: str) -> None:
    """Write `{name: whether it works}` of the escapes that show something to `report`."""
    directory = Path(tempfile.mkdtemp())
    (directory / "secret").write_text(CANARY + "\n")
    (directory / "secret.csv").write_text(CANARY + "\n")
    listener = Listener()
    keeper = chdb.connect(str(directory / "data"))
    worked = {}
    for number, escape in enumerate(ESCAPES):
        if escape.shows:
            out = directory / f"out{number}"
            values = {
                "secret": directory / "secret",
                "csv": directory / "secret.csv",
                "dir": directory,
                "out": out,
                "port": listener.port,
            }
            seen = listener.seen
            result = attempt(escape, str(directory / "data"), values)
            worked[escape.name] = {
                "canary": CANARY in (result or ""),
                "out": out.exists(),
                "port": listener.seen > seen,
                "runs": result is not None,
            }[escape.shows]
    keeper.close()
    Path(report).write_text(json.dumps(worked))


def attempt(escape: Escape, path: str, values: dict[str, object]) -> str | None:
    """What the statement returns, or None if it fails."""
    connection = chdb.connect(path)
    try:
        for statement in escape.before:
            connection.query(statement.format(**values))
        result = connection.query(escape.sql.format(**values), "TSVRaw", params=PARAMS)
        for statement in escape.then:
            result = connection.query(statement, "TSVRaw")
        return bytes(result.bytes() or b"").decode(errors="replace")
    except (RuntimeError, chdb.ChdbError) as error:
        sys.stderr.write(f"{escape.name}: {str(error)[:200]}\n")
        return None
    finally:
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
