"""Our sixty lines of CUPTI's interface, against NVIDIA's headers and library from its wheels."""

import site
import subprocess
from pathlib import Path

import pytest

from otel_llm.kernels import fake_cupti
from otel_llm.kernels.control import Control, scan

HERE = Path(__file__).parent
SHIM = HERE.parents[1] / "otel_llm" / "kernels" / "shim"
PACKAGES = [Path(folder) / "nvidia" for folder in site.getsitepackages()]
NEW, OLD = ("cu13/include",), ("cuda_cupti/include", "cuda_runtime/include", "cu13/include")


@pytest.mark.parametrize(
    ("folders", "flags", "sizes"), [(NEW, [], "248 112 104"), (OLD, ["-DOLD"], "208 88 88")]
)
def test_header_agrees_with_nvidias(
    tmp_path: Path, folders: tuple[str, ...], flags: list[str], sizes: str
) -> None:
    """Offsets, widths and codes are those of CUPTI 13.5 and 12.9; sizes are the fake's."""
    includes = [path / folder for path in PACKAGES for folder in folders]
    if not (includes[0] / "cupti.h").is_file():
        pytest.skip(
            "NVIDIA's header wheels are not installed: pip install 'otel-llm[cupti-headers]'"
        )
    options = [f"-I{path}" for path in includes]
    command = ["cc", *flags, f"-I{SHIM}", *options, HERE / "abi.c", "-o", tmp_path / "abi"]
    subprocess.run(command, check=True)
    done = subprocess.run([tmp_path / "abi"], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == sizes
    fake = (fake_cupti.HERE / "fake.c").read_text()
    kernel, copy, fill = sizes.split()
    assert f"KERNEL_BYTES = {kernel}, MEMCPY_BYTES = {copy}, MEMSET_BYTES = {fill}" in fake


@pytest.mark.parametrize(
    ("folder", "reason"), [("cu13/lib/libcupti.so.13", "no_driver"),
                           ("cuda_cupti/lib/libcupti.so.12", "old_version")]
)  # fmt: skip
def test_the_real_library_without_a_gpu(
    environment: dict[str, str], built: Path, folder: str, reason: str
) -> None:
    """NVIDIA's own libcupti, on a machine without a driver: off, with the reason, no harm done."""
    real = [path / folder for path in PACKAGES if (path / folder).is_file()]
    if not real:
        pytest.skip(
            "NVIDIA's header wheels are not installed: pip install 'otel-llm[cupti-headers]'"
        )
    environment["OTEL_LLM_KERNELS_LIBCUPTI"] = str(real[0])
    done = subprocess.run([built / "drive", "/no/fake", "1", "1", "1", "1"], env=environment,
                          check=False, timeout=30)  # fmt: skip
    assert done.returncode == 4
    [path] = scan(Path(environment["OTEL_LLM_JOURNAL_DIR"]))
    report = Control(path).report()
    assert report is not None
    assert (report.state, report.library) == ("off", str(real[0]))
    # With a driver at hand an old one may answer otherwise; here there is none.
    assert report.reason in {reason, "not_initialized"}
