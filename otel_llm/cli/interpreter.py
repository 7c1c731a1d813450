"""Which Python a command runs in, and whether our hooks can be found there."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from otel_llm.engines.vllm import package

_FIRST_BYTES = 4096
_ASK_TIMEOUT_S = 10
# Looks up one package by its name: neither it nor any other is imported. `-c` adds the working
# directory to the path; the command will not have it there.
_ASK = f"""
import importlib.metadata as metadata, sys
sys.path[:] = filter(None, sys.path)
try:
    found = metadata.distribution("otel-llm").entry_points
except metadata.PackageNotFoundError:
    found = []
print(any((one.group, one.name) == {(package.GROUP, package.PLUGIN)!r} for one in found))
"""


def lack(path: str) -> str:
    """What keeps our hooks out of a command's Python, with the remedy; empty if nothing does.

    Args:
        path: the command's file. One that is neither a Python nor a script of one is not judged.
    """
    python = _python_of(path)
    if not python or python == sys.executable:
        return ""
    try:
        asked = subprocess.run(
            [python, "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ASK_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"Whether {python} has otel-llm is not known: {type(error).__name__} when asked."
    if asked.stdout.strip() != "False":
        return ""
    remedy = f"{shlex.quote(python)} -m pip install otel-llm"
    runs = "" if path == python else f" runs {path} and"
    return f"{python}{runs} lacks otel-llm: the hooks cannot be found there. Do: {remedy}"


def _python_of(path: str) -> str:
    """The Python that runs a command's file; empty if none is named that can be made out."""
    if _is_python(path):
        return path
    with Path(path).open("rb") as file:
        first, _, rest = file.read(_FIRST_BYTES).partition(b"\n")
    if not first.startswith(b"#!"):
        return ""
    words = _words(first[2:])
    if words and Path(words[0]).name == "env":
        named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        words = [shutil.which(named[0]) or ""] if named else []
    elif words == ["/bin/sh"] and rest.startswith(b"'''exec' "):
        # So installers name a Python whose path is too long for a first line, or has a blank.
        words = _words(rest.partition(b"\n")[0])[1:]
    return words[0] if words and _is_python(words[0]) else ""


def _words(line: bytes) -> list[str]:
    try:
        return shlex.split(os.fsdecode(line))
    except ValueError:  # a quote without its end
        return []


def _is_python(path: str) -> bool:
    return Path(path).name.startswith("python") and Path(path).is_absolute()
