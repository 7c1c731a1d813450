"""What the probe must never do, and that the fake GPU would notice."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from gpuprobe import copies, native

from tests.benchmarks.gpu_probe.conftest import PROBE

FORBIDDEN = (
    "cuptiFinalize",
    "FLUSH_FORCED",
    "cuMemAllocManaged",
    "cudaMallocManaged",
    "managed_memory",
)


def sources() -> list[Path]:
    """Every source of the probe but the fake GPU, which knows the names to refuse them."""
    found = [*PROBE.rglob("*.py"), *(PROBE / "native").iterdir()]
    return [path for path in found if path.name != "fake_gpu.c"]


@pytest.mark.parametrize("name", FORBIDDEN)
def test_no_source_names_a_forbidden_call(name: str) -> None:
    """CUPTI is never torn down, never flushed by force, and memory is never managed."""
    assert [path.name for path in sources() if name in path.read_text()] == []


@pytest.mark.parametrize(
    "call", ["cuptiFinalize()", "cuptiActivityFlushAll(1)", "cuMemAllocManaged(0, 1, 1)"]
)
def test_fake_gpu_ends_a_process_that_does_it(libraries: dict[str, Path], call: str) -> None:
    """The dry run would crash, so a passing one proves that these calls were not made."""
    code = f"import ctypes; ctypes.CDLL({str(libraries['fake_gpu'])!r}).{call}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode < 0
    assert "must never be called" in done.stderr


def test_shim_needs_nothing_but_libc(libraries: dict[str, Path]) -> None:
    """The shim loads on a machine without CUDA; it opens CUPTI only when told to."""
    shim = ctypes.CDLL(str(libraries["probe_shim"]))
    assert shim.shim_flush() == -1
    assert shim.shim_open(b"/nonexistent.so", 0) == -1


def test_a_carried_build_is_taken_where_there_is_no_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No compiler: the carried file, and the reason; no file either: nothing, and both reasons."""
    monkeypatch.setattr(native, "COMPILERS", ("no-such-compiler",))
    monkeypatch.setattr(native, "CARRIED", tmp_path)
    missing = native.obtain("probe_shim", tmp_path / "work")
    assert missing.path is None
    assert "no-such-compiler" in missing.how
    (tmp_path / "probe_shim.so").write_bytes(b"")
    carried = native.obtain("probe_shim", tmp_path / "work")
    assert carried.path == tmp_path / "probe_shim.so"
    assert carried.how.startswith("carried build")


def test_wheels_are_unpacked_and_equal_copies_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A carried wheel is one copy; the same library in a toolkit is not a second."""
    carried, toolkit = tmp_path / "build", tmp_path / "usr"
    carried.mkdir()
    name = "nvidia_cuda_cupti-13.5.25-py3-none-manylinux_2_25_x86_64.whl"
    with zipfile.ZipFile(carried / name, "w") as wheel:
        wheel.writestr("nvidia/cu13/lib/libcupti.so.13", b"thirteen")
        wheel.writestr("nvidia/cu13/lib/libnvperf_host.so", b"neighbour")
        wheel.writestr("nvidia/cu13/include/cupti.h", b"header")
    same = toolkit / "cuda-13.0" / "extras" / "CUPTI" / "lib64"
    same.mkdir(parents=True)
    (same / "libcupti.so.13").write_bytes(b"thirteen")
    other = toolkit / "cuda-12.9" / "lib64"
    other.mkdir(parents=True)
    (other / "libcupti.so.12").write_bytes(b"twelve")
    monkeypatch.setattr(copies, "CARRIED", carried)
    monkeypatch.setattr(sys, "path", [])
    found = copies.find(tmp_path / "work", toolkits=toolkit)
    assert [copy.label for copy in found] == ["wheel 13.5.25", "toolkit"]
    assert (found[0].path.parent / "libnvperf_host.so").exists()
    assert " " not in str(found[0].path), "LD_PRELOAD would take it for two paths"


def test_copy_of_a_framework_comes_first_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pip installed beside a framework is found on Python's path, and named by version."""
    library = tmp_path / "nvidia" / "cu13" / "lib"
    library.mkdir(parents=True)
    (library / "libcupti.so.13").write_bytes(b"own")
    (tmp_path / "nvidia_cuda_cupti-13.0.85.dist-info").mkdir()
    monkeypatch.setattr(copies, "CARRIED", tmp_path / "none")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    found = copies.find(tmp_path / "work", toolkits=tmp_path / "usr")
    assert [copy.label for copy in found] == ["framework 13.0.85"]
