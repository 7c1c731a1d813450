"""How commands find the running `otel-llm up`: a run file and a token in the data directory."""

import datetime as dt
import fcntl
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_llm import pinning, private_dir, x509
from otel_llm.errors import StoreError

if TYPE_CHECKING:
    import ssl

LOCK_NAME = "owner.lock"
"""Name of the file in the data directory that its owner keeps locked, with the owner's pid."""


class RunFile(NamedTuple):
    """What `up` says about itself in `<data_dir>/up.json`.

    Attributes:
        pid: process id on this host.
        clickhouse_url: base URL of the ClickHouse HTTP interface.
        otlp_url: base URL of the OTLP/HTTP receiver.
        otlp_grpc_url: URL of the OTLP/gRPC receiver.
        token_file: path of the file that holds the token.
        certificate: what all three show, in PEM form; empty if they do not speak TLS.
    """

    pid: int
    clickhouse_url: str
    otlp_url: str
    otlp_grpc_url: str
    token_file: str
    certificate: str = ""

    @property
    def tls(self) -> "ssl.SSLContext | None":
        """How to connect: trusting that certificate alone; None if it does not speak TLS."""
        return pinning.context(self.certificate) if self.certificate else None

    @property
    def not_after(self) -> dt.datetime | None:
        """End of the certificate's validity; None if it does not speak TLS."""
        return x509.read(self.certificate).not_after if self.certificate else None

    def check_certificate(self, now: dt.datetime) -> None:
        """Say that nobody can connect, before a driver says it in its own words.

        Args:
            now: the time, with its zone.

        Raises:
            StoreError: the certificate has expired.
        """
        if self.not_after is not None and self.not_after <= now:
            message = f"The certificate of `up` {x509.expiry(self.not_after, now)}."
            raise StoreError(message)

    @property
    def token(self) -> str:
        """The token, read from its file.

        Raises:
            StoreError: the file cannot be read.
        """
        try:
            return private_dir.read_file(Path(self.token_file)).strip()
        except OSError as error:
            message = f"The token file {self.token_file} cannot be read: {error.strerror}."
            raise StoreError(message) from error


def path_of(data_dir: Path) -> Path:
    """Where the run file of a data directory is."""
    return data_dir.expanduser().absolute() / "up.json"


def write(data_dir: Path, run: RunFile) -> None:
    """Write the run file in one step, readable by the owner alone."""
    target = path_of(data_dir)
    private_dir.write_file(target.with_suffix(".json.new"), json.dumps(run._asdict()) + "\n")
    target.with_suffix(".json.new").replace(target)


def remove(data_dir: Path) -> None:
    """Remove the run file, if it is there."""
    path_of(data_dir).unlink(missing_ok=True)


def read(data_dir: Path) -> RunFile | None:
    """The run file of a living `up`, or None.

    A run file left behind by a killed process is not believed: nobody holds the directory's lock,
    or somebody else does. Its pid may be another process's by now, and so may its ports. Nor is a
    run file in a directory that is not private.
    """
    target = path_of(data_dir)
    try:
        if private_dir.why_not_private(target.parent, target.parent.stat()) is not None:
            return None
        values: dict[str, Any] = json.loads(private_dir.read_file(target))
        run = RunFile(**values)
        return run if _owner(target.with_name(LOCK_NAME)) == run.pid else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def token(data_dir: Path, name: str = "token") -> tuple[Path, str]:
    """The token file of a data directory and the token in it, made at the first call.

    Args:
        data_dir: the directory.
        name: of the file; `token_read` is the one of the user that may only read.

    Raises:
        StoreError: the file cannot be read or written, or is a link.
    """
    path = data_dir / name
    try:
        known = private_dir.read_file(path).strip() if os.path.lexists(path) else ""
        if not known:
            known = secrets.token_urlsafe(32)
            private_dir.write_file(path, known + "\n")
    except OSError as error:
        message = f"The token file {path} cannot be used: {error.strerror}. Remove it."
        raise StoreError(message) from error
    return path, known


def _owner(lock: Path) -> int | None:
    """Process id of who holds the lock; None if nobody does."""
    file = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(json.loads(os.pread(file, 4096, 0))["pid"])
    else:
        return None
    finally:
        os.close(file)
