"""One look at a source: everything that it tells, whichever of the two readings had it."""

import time

import pytest

from otel_llm.agent.device_join import DeviceJoin
from otel_llm.devices.nvml import NvmlSource
from otel_llm.devices.sampler import Taken
from otel_llm.devices.survey import look
from otel_llm.exporters.clickhouse.rows.device import device_row
from otel_llm.facts.identity import Identity
from otel_llm.facts.joined import JoinedDevice
from tests.devices.node import Node, gpu


@pytest.fixture
def _time_passes(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", node.go)


@pytest.mark.usefixtures("_time_passes")
def test_slow_groups_and_rates(node: Node, source: NvmlSource) -> None:
    """The first reading has the slow groups, the second has rates and shares: a look has both."""
    node.play(gpu(0, ecc_corrected=7, processes="41,1000,30"), "0.1 0 pcie_rx_bytes 1000")
    [sample] = look(source).samples
    assert (sample.ecc_corrected, sample.processes is not None) == (7, True)
    assert (sample.pcie_rx_bytes_s, sample.sm_active) == (4000, 50)


@pytest.mark.usefixtures("_time_passes")
def test_one_that_is_lost_between(node: Node, source: NvmlSource) -> None:
    """What it told before it was lost stands; the problem says that it is."""
    node.play(gpu(0), gpu(1), "0.1 1 lost 1")
    found = look(source)
    assert [sample.device.id for sample in found.samples] == ["GPU-0", "GPU-1"]
    assert any("GPU-1 is lost" in problem for problem in found.problems)


@pytest.mark.usefixtures("_time_passes")
def test_what_is_not_supported(node: Node, source: NvmlSource) -> None:
    """Calls that a device refused are named with how many did."""
    node.play(gpu(0, temperature=""), gpu(1))
    assert look(source).unsupported["nvmlDeviceGetTemperature"] == 1


@pytest.mark.usefixtures("_time_passes")
def test_links_are_identity(node: Node, source: NvmlSource) -> None:
    """Whom NVLinks reach goes from the library to the device's row, to which all others lead."""
    node.play(gpu(0, links="1,-,1", mig0="MIG-a 1g.10gb 7 111 1000"), gpu(1, links="0,0"), gpu(2))
    found = look(source)
    taken = Taken(samples=found.samples, rows=found.samples)
    joined = DeviceJoin("h1", "boot", Identity(k8s_node="n1")).joined(taken)
    rows = [device_row(fact) for fact in joined if isinstance(fact, JoinedDevice)]
    assert [(row["device"], row["mig_profile"], row["links"]) for row in rows] == [
        ("GPU-0", "", ["GPU-1", "GPU-1"]),
        ("GPU-0", "1g.10gb", []),
        ("GPU-1", "", ["GPU-0", "GPU-0"]),
        ("GPU-2", "", []),
    ]
    assert {(row["k8s_node"], row["driver_version"]) for row in rows} == {("n1", "580.95.05")}
    assert found.unsupported["nvmlDeviceGetNvLinkState"] == 1
