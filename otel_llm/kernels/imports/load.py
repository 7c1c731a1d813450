"""Opens a profile, whatever it is: gzip or not, Kineto's JSON or an nsys export."""

import gzip
import hashlib
import re
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from otel_llm.errors import ProfileError
from otel_llm.kernels.imports.kineto import STEP_MARK, read_kineto
from otel_llm.kernels.imports.nsys import read_nsys
from otel_llm.kernels.imports.profile import Profile

_SQLITE = b"SQLite format 3\x00"
_GZIP = b"\x1f\x8b"


def load(path: Path, step_mark: str = STEP_MARK) -> Profile:
    """Read a profile.

    Args:
        path: of the file; what it is, its first bytes tell.
        step_mark: regular expression of a whole annotation or NVTX range that marks a step; its
            first group, if there is one, is the step's number.

    Raises:
        ProfileError: it cannot be read, is no profile, or holds no kernels.
    """
    try:
        mark = re.compile(step_mark)
    except re.error as error:
        message = f"--step-mark {step_mark!r} is no regular expression: {error}."
        raise ProfileError(message) from error
    try:
        with path.open("rb") as stream:
            begin = stream.read(16)
        if begin == _SQLITE:
            return read_nsys(path, mark)
        if begin.startswith(_GZIP):
            with gzip.open(path) as stream:
                return read_kineto(cast("BinaryIO", stream), mark)
        with path.open("rb") as stream:
            return read_kineto(stream, mark)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"{path.name} is cut off or damaged ({error}). Copy it again."
        raise ProfileError(message) from error
    except OSError as error:
        message = f"{path.name} cannot be read: {error}."
        raise ProfileError(message) from error


def instance_of(path: Path) -> str:
    """The id under which a file's kernels are stored: 32 hex digits of its content's SHA-256.

    Raises:
        ProfileError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.sha256()
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        message = f"{path.name} cannot be read: {error}."
        raise ProfileError(message) from error
    return digest.hexdigest()[:32]
