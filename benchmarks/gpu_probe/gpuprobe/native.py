"""Builds the C parts where there is a compiler, else takes the carried build, else does without."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent.parent
SOURCES = HERE / "native"
CARRIED = HERE / "build"
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC")
COMPILERS = ("gcc", "cc", "clang")
BUILD_LIMIT_S = 60


class Library(NamedTuple):
    """A built library, or None and why not."""

    path: Path | None
    how: str


def build(name: str, into: Path, *extra: str) -> Library:
    """Compile native/NAME.c into `into`/NAME.so, with extra flags.

    Warnings are no errors here: an unknown compiler's new warning must not cost the measurement.
    """
    compiler = next((found for c in COMPILERS if (found := shutil.which(c))), None)
    if compiler is None:
        return Library(None, f"no compiler: none of {', '.join(COMPILERS)} is on the PATH")
    into.mkdir(parents=True, exist_ok=True)
    target = into / f"{name}.so"
    command = [
        compiler,
        *FLAGS,
        *extra,
        "-o",
        str(target),
        str(SOURCES / f"{name}.c"),
        "-ldl",
        "-lpthread",
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Library(None, f"{Path(compiler).name} did not run: {error}")
    if done.returncode:
        return Library(None, f"{Path(compiler).name} failed: {done.stderr.strip()[-600:]}")
    return Library(target, f"compiled here with {Path(compiler).name} {' '.join(FLAGS[1:])}")


def obtain(name: str, work: Path) -> Library:
    """Compiled here if possible, else the carried build."""
    made = build(name, work)
    if made.path:
        return made
    carried = CARRIED / f"{name}.so"
    if carried.exists():
        return Library(carried, f"carried build ({made.how})")
    return Library(None, f"{made.how}; no carried build/{name}.so")
