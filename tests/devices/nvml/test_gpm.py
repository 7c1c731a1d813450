"""GPM: samples that are too near, failures that pass, metrics that are not told."""

import pynvml
import pytest

from otel_llm.devices.nvml import NvmlSource
from tests.devices.node import Node, gpu, run


def test_samples_that_are_too_near(node: Node, source: NvmlSource) -> None:
    """GPM refuses two samples of one moment; it is asked again, and counted as a failure."""
    node.play(gpu(0))
    source.open()
    source.read(full=True)
    source.read(full=True)
    node.go(1)
    [sample] = source.read(full=True).samples
    assert sample.sm_active == 50
    cost = source.calls["nvmlGpmMetricsGet"]
    assert (cost.failed, cost.unsupported) == (1, 0)


@pytest.mark.parametrize("call", ["GpmQueryDeviceSupport", "DeviceGetGpuInstanceId"])
def test_gpm_after_a_failure_that_passed(node: Node, source: NvmlSource, call: str) -> None:
    """It is found at the next reading: of a device and of an instance."""
    node.play(
        gpu(0, mig0="MIG-a 1g.10gb 7 111 1000 75"),
        f"0 0 fail.{call} {pynvml.NVML_ERROR_UNKNOWN}", f"1.5 0 fail.{call} 0",
    )  # fmt: skip
    source.open()
    samples, _ = run(node, source, 4)
    assert [each.sm_active for each in samples[-2:]] == [50, 75]


def test_a_metric_of_gpm_that_is_not_told(node: Node, source: NvmlSource) -> None:
    """It is missing, and the others stand."""
    node.play(gpu(0, dram_active=""))
    source.open()
    sample = run(node, source, 2)[0][-1]
    assert (sample.dram_active, sample.sm_active) == (None, 50)
