"""A libcupti without a GPU, built on demand: for tests and benchmarks, never for a user's rows."""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
RECORDING = HERE / "kineto_v100.bin"
"""1,500 kernels, copies and fills of a training step; see the README beside it."""


def build(directory: Path, *, old: bool = False) -> Path:
    """Compile the fake.

    Args:
        directory: where `libcupti.so.13` (or `.12`) goes.
        old: make it CUPTI 12.9 in place of 13.5.

    Returns:
        Path of the library. Set `FAKE_CUPTI_FIXTURE` to `RECORDING` before it is used.

    Raises:
        FileNotFoundError: there is no C compiler.
    """
    name = "libcupti.so.12" if old else "libcupti.so.13"
    flags = ["-std=c11", "-O2", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden"]
    flags += ["-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{name}"]
    flags += ["-DFAKE_OLD"] if old else []
    return _compile([*flags, str(HERE / "fake.c")], directory / name)


def build_driver(directory: Path) -> Path:
    """Compile `drive`, a program that launches as an engine would. Same arguments and errors."""
    flags = ["-std=c11", "-O2", "-pthread", "-Wall", "-Wextra", "-Werror"]
    return _compile([*flags, str(HERE / "drive.c"), "-ldl"], directory / "drive")


def _compile(arguments: list[str], target: Path) -> Path:
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        message = "The fake libcupti needs a C compiler: install gcc or clang, or set CC."
        raise FileNotFoundError(message)
    subprocess.run([compiler, *arguments, "-o", str(target)], check=True)
    return target
