"""The fake libcupti and libnvidia-ml, so that every stage runs without a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otel_llm.kernels import fake_cupti


@contextmanager
def fakes(folder: Path, *, wanted: bool) -> Iterator[dict[str, str]]:
    """Variables for engines. With the fakes pynvml of this process reads one fake GPU meanwhile.

    Args:
        folder: for what is built.
        wanted: false for a real GPU: nothing is built or changed.
    """
    if not wanted:
        yield {}
        return
    from otel_llm.devices.fake_nvml import FakeNvml, build

    nvml = FakeNvml(build(folder), folder)
    nvml.play([f"0 {device} {key} {value}" for device, key, value in _NODE])
    nvml.use()
    try:
        yield {
            "OTEL_LLM_KERNELS_LIBCUPTI": str(fake_cupti.build(folder)),
            "FAKE_CUPTI_FIXTURE": str(fake_cupti.RECORDING),
        }
    finally:
        nvml.close()


_NODE = [
    ("-", "driver", "580.95.05"), ("-", "cuda", 13000), (0, "uuid", "GPU-0"),
    (0, "name", "fake"), (0, "pci", "00000000:01:00.0"), (0, "memory_total", 1 << 30),
    (0, "memory_used", 1 << 20), (0, "watts", 100), (0, "watts_average", 100),
    (0, "utilization", 0), (0, "temperature", 40), (0, "sm_mhz", 1980), (0, "memory_mhz", 2619),
]  # fmt: skip


def fake_smi() -> str:
    """What `nvidia-smi` would say of that GPU."""
    return "GPU-0, 1024, 1, 40, 100.00\n"
