"""What of NVIDIA's libraries can be loaded. None is needed; each adds a layer."""

import ctypes
import importlib.util
import site
from collections.abc import Iterator
from pathlib import Path

from otel_llm.cli.checks.finding import Finding

_AREA = "gpu"


def check() -> Iterator[Finding]:
    """Look for the driver's management library, CUPTI and the Python binding."""
    yield _load("libnvidia-ml", ["libnvidia-ml.so.1"], "install the NVIDIA driver")
    remedy = "pip install nvidia-cuda-cupti"
    yield _load("libcupti", ["libcupti.so.13", "libcupti.so.12", *_cupti_wheels()], remedy)
    if importlib.util.find_spec("pynvml"):
        yield Finding(_AREA, "nvidia-ml-py", "ok", "installed")
    else:
        remedy = "pip install nvidia-ml-py"
        yield Finding(_AREA, "nvidia-ml-py", "off", "not installed", remedy)


def _load(what: str, names: list[str], remedy: str) -> Finding:
    problems = {name: _problem(name) for name in names}
    for name, problem in problems.items():
        if not problem:
            return Finding(_AREA, what, "ok", f"{name} loads")
    return Finding(_AREA, what, "off", problems[names[-1]], remedy)


def _problem(name: str) -> str:
    """Why a library cannot be loaded; empty if it can."""
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return str(error)
    return ""


def _cupti_wheels() -> list[str]:
    """CUPTI as wheels bring it, in the interpreter's own packages."""
    found: list[str] = []
    for folder in site.getsitepackages():
        for pattern in ("nvidia/*/lib/libcupti.so.*", "nvidia/lib/libcupti.so.*"):
            found += sorted(str(path) for path in Path(folder).glob(pattern))
    return found
