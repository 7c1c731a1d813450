"""Devices through the agent."""

import json
from pathlib import Path

import httpx
import msgspec
import pytest

from otel_llm.devices.source import Reading
from otel_llm.errors import SettingError
from otel_llm.settings import Settings
from tests.agent.bench import Bench, serve
from tests.agent.conftest import Wait
from tests.agent.fake_sinks import FakeSinks
from tests.agent.test_run import AGENT, Start, first_line, start
from tests.agent.test_two_halves import rows
from tests.devices.facts import event, sample
from tests.devices.test_replay import HEADER, recording

__all__ = ["start"]


def test_what_is_taken_is_saved(bench: Bench) -> None:
    """Full samples and events go into the spool with everything else; quick samples do not."""
    bench.sampler.hand_over(Reading([sample(1, power_mw=1)]), full=False)
    bench.sampler.hand_over(Reading([sample(2, power_mw=2)], [event("xid", 79)]), full=True)
    bench.turn()
    items = {"gpu_devices": 1, "gpu_power": 1, "gpu_events": 1}
    assert bench.rows.items == items
    bench.turn()
    assert bench.rows.items == items


def test_what_is_saved_survives_the_agent(bench: Bench) -> None:
    """Killed after the transaction and before the delivery, it sends each row once."""
    bench.rows.error = OSError("away")
    bench.sampler.hand_over(Reading([sample(2, power_mw=2)]), full=True)
    bench.turn()
    bench.kill()
    bench.rows.error = None
    bench.turn()
    assert bench.rows.items == {"gpu_devices": 1, "gpu_power": 1}


def test_the_program_reads_devices(
    start: Start, settings: Settings, sinks: FakeSinks, wait: Wait, tmp_path: Path
) -> None:
    """A recording named by the setting is on the page and in the rows that are sent."""
    lines = [
        {"at_s": n / 10, "device": 0, "power_mw": 90_000, "energy_mj": 9000 * n} for n in range(11)
    ]
    path = recording(tmp_path, HEADER, *lines)
    given = msgspec.structs.replace(
        settings, devices=(f"replay:{path}",), device_row_interval_s=0.2
    )
    agent = start(AGENT, given)
    url = json.loads(first_line(agent))["url"]
    power = 'hw_power_watts{hw_id="GPU-r",hw_name="H100",hw_type="gpu"} 90.0'
    wait(lambda: power in httpx.get(f"{url}/metrics").text)
    wait(lambda: len(sinks.rows("gpu_power")) > 1)
    row = sinks.rows("gpu_power")[0]
    assert (row["device"], row["source"], row["power_mw"]) == ("GPU-r", "replay", 90_000)


def test_a_wrong_name_stops_it(settings: Settings) -> None:
    """The agent does not start without the devices that it was told to read."""
    from otel_llm.agent.run import run

    with pytest.raises(SettingError, match="no source of devices"):
        run(msgspec.structs.replace(settings, devices=("amd",)))


def test_an_engines_devices(bench: Bench) -> None:
    """They are in the row of its birth and of its end, also after the agent was killed."""
    journal = bench.engine(devices=["GPU-a", "GPU-b"], ranks=4)
    serve(journal)
    bench.turn()
    bench.kill()
    journal.close()
    bench.turn()
    bench.turn()
    events = rows(bench, "llm_engine_events")
    assert [one["event"] for one in events] == ["started", "stopped"]
    assert [(one["devices"], one["ranks"]) for one in events] == [(["GPU-a", "GPU-b"], 4)] * 2
