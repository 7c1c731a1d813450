"""The shim's C under sanitizers: its walker over damaged buffers, and the whole of it at work."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kernels.fuzz import seeds
from tests.kernels.running import Run

ROOT = Path(__file__).parents[2]
SHIM = ROOT / "otel_llm" / "kernels" / "shim"
FUZZ = Path(__file__).parent / "fuzz"
WALKER = ("walk", "decode", "names", "sums", "ring", "crc")
FLAGS = ["-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@needs_cc
def test_damaged_buffers_read_nothing_they_should_not(tmp_path: Path) -> None:
    """Cut anywhere, bits flipped, CUPTI's walk lying: no read out of bounds, no endless walk."""
    sources = [SHIM / f"{name}.c" for name in WALKER] + [FUZZ / "fuzz.c", FUZZ / "replay.c"]
    program = tmp_path / "replay"
    subprocess.run(["cc", *FLAGS, f"-I{SHIM}", *sources, "-o", program], check=True)
    done = subprocess.run(
        [program, *seeds.write(tmp_path / "seeds")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


@needs_cc
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_whole_shim_under_sanitizers(
    environment: dict[str, str], tmp_path: Path, sanitizer: str
) -> None:
    """Shim, fake and driver, several threads launching: no error of memory or order."""
    from otel_llm.kernels import fake_cupti

    flags = ["-std=c11", "-O1", "-g", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"]
    shim, fake, program = tmp_path / "shim.so", tmp_path / "libcupti.so.13", tmp_path / "drive"
    shared = ["-fPIC", "-shared", "-pthread", "-fvisibility=hidden"]
    subprocess.run(["cc", *flags, *shared, *SHIM.glob("*.c"), "-o", shim, "-ldl"], check=True)
    subprocess.run(["cc", *flags, *shared, "-Wl,-soname,libcupti.so.13", fake_cupti.HERE / "fake.c",
                    "-o", fake], check=True)  # fmt: skip
    driver = fake_cupti.HERE / "drive.c"
    subprocess.run(["cc", *flags, "-pthread", driver, "-o", program, "-ldl"], check=True)
    changed = {"CUDA_INJECTION64_PATH": str(shim), "OTEL_LLM_KERNELS_LIBCUPTI": str(fake),
               "ASAN_OPTIONS": "detect_leaks=0"}  # fmt: skip
    done = subprocess.run([program, fake, "40", "50", "20", "3", "20000"],
                          env=environment | changed, capture_output=True, text=True,
                          check=False, timeout=100)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    run = Run.of(tmp_path / "journals", done.stdout)
    assert len(run.raw) == 40 * 50 * 20


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="there is no valgrind")
@needs_cc
def test_whole_shim_under_valgrind(
    environment: dict[str, str], built: Path, tmp_path: Path
) -> None:
    """As it is built for users: nothing is read that was not written, nothing freed is used."""
    done = subprocess.run(
        ["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=no", built / "drive",
         built / "libcupti.so.13", "8", "10", "20", "2", "1000"],
        env=environment | {"OTEL_LLM_KERNELS_RING_BYTES": str(1 << 20)}, capture_output=True,
        text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    run = Run.of(tmp_path / "journals", done.stdout)
    assert sum(row["count"] for row in run.steps) == 8 * 10 * 20
