"""How commands find the running `otel-llm up`: a run file and a token in the data directory."""

import json
import os
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from otel_llm.errors import StoreError


class RunFile(NamedTuple):
    """What `up` says about itself in `<data_dir>/up.json`.

    Attributes:
        pid: process id on this host.
        clickhouse_url: base URL of the ClickHouse HTTP interface.
        otlp_url: base URL of the OTLP/HTTP receiver.
        token_file: path of the file that holds the token.
    """

    pid: int
    clickhouse_url: str
    otlp_url: str
    token_file: str

    @property
    def token(self) -> str:
        """The token, read from its file.

        Raises:
            StoreError: the file cannot be read.
        """
        try:
            return Path(self.token_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            message = f"The token file {self.token_file} cannot be read: {error.strerror}."
            raise StoreError(message) from error


def path_of(data_dir: Path) -> Path:
    """Where the run file of a data directory is."""
    return data_dir.expanduser().absolute() / "up.json"


def write(data_dir: Path, run: RunFile) -> None:
    """Write the run file in one step, readable by the owner alone."""
    target = path_of(data_dir)
    _write_private(target.with_suffix(".json.new"), json.dumps(run._asdict()) + "\n")
    target.with_suffix(".json.new").replace(target)


def remove(data_dir: Path) -> None:
    """Remove the run file, if it is there."""
    path_of(data_dir).unlink(missing_ok=True)


def read(data_dir: Path) -> RunFile | None:
    """The run file of a living `up`, or None.

    A run file left behind by a killed process is not believed: its pid is gone.
    """
    try:
        values: dict[str, Any] = json.loads(path_of(data_dir).read_text(encoding="utf-8"))
        run = RunFile(**values)
    except (OSError, ValueError, TypeError):
        return None
    return run if _alive(run.pid) else None


def token(data_dir: Path) -> tuple[Path, str]:
    """The token file of a data directory and the token in it, made at the first call."""
    path = data_dir / "token"
    try:
        known = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        known = ""
    if not known:
        known = secrets.token_urlsafe(32)
        _write_private(path, known + "\n")
    return path, known


def _write_private(path: Path, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(text)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
