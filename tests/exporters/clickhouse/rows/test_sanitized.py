"""The C of the columns, compiled with sanitizers and called by a Python of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[4] / "otel_llm/exporters/clickhouse/rows/native"
FLAGS = ["-std=c11", "-O1", "-g", "-Wall", "-fPIC", "-shared"]
FLAGS += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
CALLS = Path(__file__).with_name("native_calls.py")


def _library(name: str) -> str:
    found = subprocess.run(
        ["cc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


@pytest.mark.parametrize("allocator", ["malloc", "pymalloc"])
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_nothing_is_read_or_written_that_should_not_be(tmp_path: Path, allocator: str) -> None:
    """Values of every kind, too wide, of wrong types, and lists that shrink while they are read.

    Nothing is left behind either. With `malloc` each object is an allocation that is watched; with
    `pymalloc` Python knows how many there are.
    """
    headers = sysconfig.get_paths()["include"]
    sanitizer = _library("libasan.so")
    if not Path(headers, "Python.h").exists() or not Path(sanitizer).is_absolute():
        pytest.skip("there are no headers of Python, or no sanitizer")
    module = tmp_path / "_native.abi3.so"
    sources = sorted(NATIVE.glob("*.c"))
    command = ["cc", *FLAGS, f"-I{headers}", f"-I{NATIVE}", *sources, "-o", module]
    subprocess.run(command, check=True, capture_output=True)
    settings = {
        "LD_PRELOAD": f"{sanitizer} {_library('libstdc++.so')}",
        "LSAN_OPTIONS": "exitcode=0",  # Python itself leaves some, from 3.12 on
        "PYTHONMALLOC": allocator,
        "PYTHONPATH": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-S", CALLS],
        env={**os.environ, **settings}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert str(NATIVE) not in done.stderr, done.stderr[-3000:]
