"""Builds the fake `libnvidia-ml.so.1` with the system's C compiler."""

import os
import shutil
import subprocess
from pathlib import Path

LIBRARY = "libnvidia-ml.so.1"
SCRIPT_VARIABLE = "FAKE_NVML_SCRIPT"
CLOCK_VARIABLE = "FAKE_NVML_CLOCK"
_FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-shared", "-fPIC", "-fvisibility=hidden")
_WARNINGS = ("-Wall", "-Wextra", "-Werror")


def build(directory: Path) -> Path:
    """Compile the library into a directory.

    Args:
        directory: an existing one; put it on `LD_LIBRARY_PATH` of whoever is to find the library.

    Returns:
        The library's path.

    Raises:
        RuntimeError: there is no C compiler, or it failed.
    """
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        message = "no C compiler: install gcc, or name one in CC"
        raise RuntimeError(message)
    sources = sorted((Path(__file__).parent / "native").glob("*.c"))
    made = directory / LIBRARY
    command = [
        compiler,
        *_FLAGS,
        *_WARNINGS,
        "-o",
        str(made),
        *map(str, sources),
        "-lm",
        "-lpthread",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"the fake NVML does not compile:\n{done.stderr}"
        raise RuntimeError(message)
    return made
