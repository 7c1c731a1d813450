"""Plays scripts to the real pynvml in this process."""

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

from otel_llm.devices.fake_nvml.build import CLOCK_VARIABLE, SCRIPT_VARIABLE


class FakeNvml:
    """A script and its clock, for a library that `build` made.

    `use` makes the real pynvml of this process call that library; other processes find it by
    `LD_LIBRARY_PATH` and the variables in `environment`.

    Args:
        library: as `build` returned it.
        directory: where the script and the clock are kept.

    Attributes:
        environment: variables that name script and clock.
    """

    def __init__(self, library: Path, directory: Path) -> None:
        self._library = library
        self._script = directory / "nvml.script"
        self._clock_path = directory / "nvml.clock"
        self._clock_path.write_bytes(bytes(8))
        with self._clock_path.open("r+b") as file:
            self._clock = mmap.mmap(file.fileno(), 8)
        self.environment = {
            SCRIPT_VARIABLE: str(self._script),
            CLOCK_VARIABLE: str(self._clock_path),
        }

    def play(self, lines: Iterable[str]) -> None:
        """Set the script: lines `TIME DEVICE KEY VALUE`. It is read at the next `nvmlInit`."""
        self._script.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def at(self, seconds: float) -> None:
        """Set the script's time."""
        self._clock[:] = round(seconds * 1e9).to_bytes(8, "little", signed=True)

    def use(self) -> None:
        """Let pynvml call the fake from now on."""
        import pynvml

        os.environ.update(self.environment)
        pynvml.nvmlLib = ctypes.CDLL(str(self._library))
        pynvml._nvmlGetFunctionPointer_cache.clear()  # noqa: SLF001

    def close(self) -> None:
        """Let go of pynvml and the clock."""
        import pynvml

        for name in self.environment:
            os.environ.pop(name, None)
        pynvml.nvmlLib = None
        pynvml._nvmlGetFunctionPointer_cache.clear()  # noqa: SLF001
        self._clock.close()
