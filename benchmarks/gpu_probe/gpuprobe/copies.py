"""Which copies of CUPTI are on this machine: the framework's, the toolkit's, and carried wheels."""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

from gpuprobe.native import CARRIED

FRAMEWORK = "framework"

_IN_PYTHON = ("nvidia/cu*/lib/libcupti.so.*", "nvidia/cuda_cupti/lib/libcupti.so.*")
_IN_TOOLKIT = (
    "cuda*/extras/CUPTI/lib64/libcupti.so.*",
    "cuda*/targets/x86_64-linux/lib/libcupti.so.*",
    "cuda*/lib64/libcupti.so.*",
)
_WHEEL = re.compile(r"nvidia_cuda_cupti(?:_cu\d+)?-([\d.]+)-.*\.whl$")
_SONAME = re.compile(r"libcupti\.so\.\d+$")


class Copy(NamedTuple):
    """One libcupti on disk."""

    label: str
    path: Path
    sha256: str


def find(work: Path, toolkits: Path = Path("/usr/local")) -> list[Copy]:
    """Every different libcupti, the framework's own first; wheels are unpacked into `work`."""
    found: list[Copy] = []
    for directory in dict.fromkeys(sys.path):
        for pattern in _IN_PYTHON:
            for path in sorted(Path(directory or ".").glob(pattern)):
                _add(found, f"{FRAMEWORK} {_version(path)}".strip(), path)
    for path in unpack_wheels(CARRIED, work):
        _add(found, path.parent.name.replace("-", " ", 1), path)
    for pattern in _IN_TOOLKIT:
        for path in sorted(toolkits.glob(pattern)):
            _add(found, "toolkit", path)
    return found


def unpack_wheels(where: Path, work: Path) -> list[Path]:
    """Unpack the libraries of each nvidia-cuda-cupti wheel into its own folder of `work`.

    The whole lib folder is unpacked, because libcupti opens its neighbours by name.
    """
    libraries = []
    for wheel in sorted(where.glob("*.whl")):
        match = _WHEEL.match(wheel.name)
        if not match:
            continue
        # No space: LD_PRELOAD takes one for the end of a path.
        folder = work / f"wheel-{match[1]}"
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if "/lib/" in member and ".so" in member:
                    (folder / Path(member).name).write_bytes(archive.read(member))
        libraries += [p for p in sorted(folder.iterdir()) if _SONAME.match(p.name)]
    return libraries


def _add(found: list[Copy], label: str, path: Path) -> None:
    if not _SONAME.match(path.name) and not re.match(r"libcupti\.so\.[\d.]+$", path.name):
        return
    real = path.resolve()
    digest = hashlib.sha256(real.read_bytes()).hexdigest()
    if all(digest != copy.sha256 for copy in found):
        found.append(Copy(label, path, digest))


def _version(library: Path) -> str:
    """The version pip recorded for the package that the library lies in."""
    root = next((p.parent for p in library.parents if p.name == "nvidia"), None)
    if root is None:
        return ""
    for info in sorted(root.glob("nvidia_cuda_cupti*.dist-info")):
        match = re.match(r"nvidia_cuda_cupti(?:_cu\d+)?-([\d.]+)\.dist-info", info.name)
        if match:
            return match[1]
    return ""
