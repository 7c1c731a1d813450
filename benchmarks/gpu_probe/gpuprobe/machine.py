"""What this machine is: GPU, driver, versions. Nothing that names the host or its user."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_SMI_FIELDS = (
    "name", "driver_version", "memory.total", "power.limit", "power.default_limit", "compute_cap",
    "mig.mode.current", "persistence_mode", "clocks.max.sm", "ecc.mode.current",
)  # fmt: skip
_PACKAGES = (
    "torch", "transformers", "triton", "nvidia-cuda-cupti", "nvidia-cuda-cupti-cu12",
    "nvidia-cuda-runtime", "nvidia-ml-py", "cupti-python",
)  # fmt: skip
_LIMIT_S = 30


def describe() -> dict[str, Any]:
    """The machine in words and numbers; what cannot be had says why."""
    return {
        "gpus": _smi(),
        "driver_file": _first_line(Path("/proc/driver/nvidia/version")),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "compiler": _tool("gcc", "--version"),
        "nvcc": _tool("nvcc", "--version", line=-1),
        "packages": {name: _package(name) for name in _PACKAGES},
        "other_tools": {
            name: os.environ[name]
            for name in ("CUDA_INJECTION64_PATH", "NVIDIA_VISIBLE_DEVICES", "CUDA_MODULE_LOADING")
            if name in os.environ
        },
        "byte_order": sys.byteorder,
    }


def _smi() -> list[dict[str, str]] | str:
    text = _run("nvidia-smi", f"--query-gpu={','.join(_SMI_FIELDS)}", "--format=csv,noheader")
    if text.startswith("!"):
        return text[1:]
    return [
        dict(zip(_SMI_FIELDS, (part.strip() for part in line.split(",")), strict=False))
        for line in text.splitlines()
        if line.strip()
    ]


def _tool(name: str, *arguments: str, line: int = 0) -> str:
    text = _run(name, *arguments)
    lines = text.strip().splitlines() or [""]
    return lines[line].lstrip("!")


def _run(name: str, *arguments: str) -> str:
    """Standard output, or the reason after an exclamation mark."""
    program = shutil.which(name)
    if program is None:
        return f"!{name} is not on the PATH"
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"!{name}: {error}"
    if done.returncode:
        return f"!{name} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[:300]}"
    return done.stdout


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[0]
    except (OSError, IndexError):
        return "absent"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
