"""The shim in this process: found, loaded by ctypes, told the step. See `shim/README.md`."""

import ctypes
import importlib.util
import json
import os
import site
from collections.abc import Iterator
from pathlib import Path

from otel_llm.kernels.control import MODES, REPORT, Mode, Report, unpack_report
from otel_llm.kernels.records import STATES
from otel_llm.settings import PREFIX, Settings, sources

INJECTION = "CUDA_INJECTION64_PATH"
"""The variable that names the library which CUDA's driver loads into each process."""


def library_path() -> Path | None:
    """The shim's library, for `CUDA_INJECTION64_PATH` too; None if it was not built."""
    spec = importlib.util.find_spec("otel_llm.kernels._shim")
    return Path(spec.origin) if spec and spec.origin else None


def cupti_wheels() -> Iterator[Path]:
    """Copies of libcupti in wheels of this interpreter, the newest CUDA first."""
    for folder in site.getsitepackages():
        for pattern in ("nvidia/cu1*/lib/libcupti.so.1*", "nvidia/cuda_cupti/lib/libcupti.so.1*"):
            yield from sorted(Path(folder).glob(pattern), reverse=True)


def attached() -> "Shim | None":
    """The shim if this process has it already, loaded by CUDA or by us; nothing is loaded."""
    for path in (os.environ.get(INJECTION), library_path()):
        if path and _is_loaded(str(path)):
            return Shim(Path(path))
    return None


def export(settings: Settings) -> None:
    """Put what a file of settings says into the environment, the one place where the shim looks."""
    names = ("journal_dir", "journal_group_readable", *_OURS)
    given = sources()
    for name in names:
        if given[name] == "file":
            value = getattr(settings, name)
            os.environ[PREFIX + name.upper()] = str(value).lower() if value is True else str(value)


_OURS = tuple(name for name in Settings.__struct_fields__ if name.startswith("kernels"))


def _is_loaded(path: str) -> bool:
    """Whether a library is in this process, and is a shim of this release."""
    try:
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return False
    return hasattr(library, "otel_llm_kernels_set_step")


class Shim:
    """The shim, started in this process by the settings in its environment.

    Args:
        path: its library; that of this installation if None.

    Raises:
        OSError: the library is not there or cannot be loaded.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or library_path()
        if path is None:
            message = "the CUPTI shim was not built: install otel-llm where there is a C compiler"
            raise OSError(message)
        library = ctypes.CDLL(str(path))
        self._library = library
        library.otel_llm_kernels_set_step.argtypes = [ctypes.c_uint64]
        library.otel_llm_kernels_set_step.restype = None
        library.otel_llm_kernels_identify.argtypes = [ctypes.c_char_p]
        # Not wrapped: it is called once or twice in every step.
        self.set_step = library.otel_llm_kernels_set_step
        library.otel_llm_kernels_start()

    def set_mode(self, mode: Mode) -> None:
        """Change the mode before returning. `dormant` lets go of CUPTI for another profiler."""
        self._library.otel_llm_kernels_set_mode(MODES.index(mode))

    def identify(self, **whose: str | int) -> bool:
        """Say whose steps these are: the journal's instance id, ranks. False if it is too long."""
        return bool(self._library.otel_llm_kernels_identify(json.dumps(whose).encode()))

    def flush(self) -> None:
        """Write what is complete by now."""
        self._library.otel_llm_kernels_flush()

    def records(self) -> bool:
        """Whether it records kernels now. Waits for nobody, so that an engine's thread may ask."""
        return STATES[self._library.otel_llm_kernels_state()] in ("on", "thinned")

    def report(self) -> Report:
        """How the shim fares, now."""
        into = ctypes.create_string_buffer(REPORT.size)
        self._library.otel_llm_kernels_report(into)
        return unpack_report(into.raw)

    def stop(self) -> None:
        """Let go of everything and close the ring. `start` begins anew, with a new ring."""
        self._library.otel_llm_kernels_stop()

    def start(self) -> None:
        """Begin again after `stop`."""
        self._library.otel_llm_kernels_start()
