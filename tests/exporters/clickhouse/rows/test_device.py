"""Readings and events of devices as rows, and through ClickHouse."""

from contextlib import closing

import msgspec
import pytest

from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.rows import encode_blocks
from otel_llm.exporters.clickhouse.rows.device import sample_row
from otel_llm.exporters.clickhouse.writer import insert_arrow_block
from otel_llm.facts.device import ProcessUse
from otel_llm.facts.identity import Identity
from otel_llm.facts.joined import Joined, JoinedDevice, JoinedDeviceEvent, JoinedSample
from tests.devices.facts import GPU, anchor, event, sample

PART = msgspec.structs.replace(
    GPU, mig="MIG-a", mig_profile="1g.10gb", links=("GPU-1", "pci:7"), power_limit_mw=700_000
)
REPLAYED = msgspec.structs.replace(GPU, source="replay")
FACTS: list[Joined] = [
    JoinedSample(
        "h1",
        "boot",
        sample(
            5,
            power_mw=0,
            energy_mj=7,
            sm_active=2.5,
            read_ns=9,
            processes=(ProcessUse(41, 1000, 30), ProcessUse(42)),
        ),
    ),
    JoinedSample("h1", "boot", sample(6, remap_pending=True, temperature_c=-3)),
    JoinedDeviceEvent(
        "h1",
        "boot",
        msgspec.structs.replace(
            event("xid", 79, 8), occurrences=7, action="reset", device=REPLAYED
        ),
    ),
    JoinedDevice("h1", "boot", anchor(9), PART, Identity(k8s_node="n1", cloud_spot="true")),
]


def test_through_the_store(engine: Engine) -> None:
    """0 and absent differ; times are the wall's; everything else comes back as it was."""
    with closing(engine.client()) as client:
        for block in encode_blocks(FACTS):
            insert_arrow_block(client, block.table.name, block.body, block.table.name)
        power = client.query(
            "SELECT host, device, mig, kind, name, source, toUnixTimestamp64Nano(time), power_mw, "
            "energy_mj, sm_active, remap_pending, temperature_c, gpu_utilization, read_ns, boot_id "
            "FROM gpu_power ORDER BY time"
        ).result_rows
        events = client.query(
            "SELECT device, source, event, code, fault, occurrences, action, "
            "toUnixTimestamp64Nano(time) "
            "FROM gpu_events"
        ).result_rows
        devices = client.query(
            "SELECT host, device, mig, mig_profile, links, name, power_limit_mw, k8s_node, "
            "cloud_spot, toUnixTimestamp64Nano(time) FROM gpu_devices"
        ).result_rows
        processes = client.query(
            "SELECT host, device, mig, pid, memory_bytes, utilization, toUnixTimestamp64Nano(time) "
            "FROM gpu_processes ORDER BY pid"
        ).result_rows
    began = 1_700_000_000_000_000_000
    same = ("h1", "GPU-0", "", "gpu", "H100", "nvml")
    assert power == [
        (*same, began + 5, 0, 7, 2.5, None, None, None, 9, "boot"),
        (*same, began + 6, None, None, None, True, -3, None, 0, "boot"),
    ]
    assert events == [("GPU-0", "replay", "xid", 79, "", 7, "reset", began + 8)]
    assert devices == [
        ("h1", "GPU-0", "MIG-a", "1g.10gb", ["GPU-1", "pci:7"], "H100", 700_000, "n1", "true",
         began + 9),
    ]  # fmt: skip
    assert processes == [
        ("h1", "GPU-0", "", 41, 1000, 30, began + 5),
        ("h1", "GPU-0", "", 42, None, None, began + 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature_c", 40_000), ("temperature_c", 0xFFFFFFFF), ("sm_clock_mhz", 0xFFFFFFFF),
        ("gpu_utilization", 300), ("power_mw", 1 << 40), ("energy_mj", -1), ("energy_mj", 1 << 70),
    ],
)  # fmt: skip
def test_what_no_device_can_mean(name: str, value: int) -> None:
    """A reading beyond its column is null; the rest of the row and its block stand."""
    row = sample_row(JoinedSample("h1", "boot", sample(5, memory_used_bytes=3, **{name: value})))
    assert (row[name], row["memory_used_bytes"]) == (None, 3)
    assert encode_blocks([JoinedSample("h1", "boot", sample(5, **{name: value}))])[0].rows == 1
