"""Two agents as processes, with nothing in common but the host and its GPU."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from otel_llm.devices.fake_nvml import build
from otel_llm.devices.fake_nvml.build import SCRIPT_VARIABLE
from otel_llm.settings import Settings
from tests.agent.conftest import Wait
from tests.agent.fake_sinks import FakeSinks
from tests.agent.test_run import AGENT, Start, first_line, start
from tests.devices.node import DRIVER, gpu

__all__ = ["start"]

HURRIED = f"import otel_llm.devices.claims as claims\nclaims.AGAIN_NS = 500_000_000\n{AGENT}"
"""An agent that tries a claim again every half second."""


@pytest.fixture
def others() -> Iterator[FakeSinks]:
    """The sinks of the other agent."""
    fake = FakeSinks()
    yield fake
    fake.close()


def lines(sinks: FakeSinks) -> list[dict[str, Any]]:
    """The ledger, by time."""
    return sorted(sinks.rows("gpu_energy_ledger"), key=lambda row: row["started"])


def test_the_first_meters_until_it_is_killed(
    settings: Settings, sinks: FakeSinks, others: FakeSinks, start: Start, wait: Wait,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The second says so on its page and writes no line, until it takes over."""
    (tmp_path / "script").write_text("\n".join([*DRIVER, *gpu(0)]))
    monkeypatch.setenv(SCRIPT_VARIABLE, str(tmp_path / "script"))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(build(tmp_path).parent))
    one = msgspec.structs.replace(settings, devices=("nvml",))
    two = msgspec.structs.replace(
        one, journal_dir=str(tmp_path / "j2"), state_dir=str(tmp_path / "s2"),
        clickhouse_url=others.url, otlp_endpoint=others.url,
    )  # fmt: skip
    first = start(HURRIED, one)
    first_line(first)
    wait(lambda: bool(lines(sinks)))
    url = json.loads(first_line(start(HURRIED, two)))["url"]
    wait(lambda: 'otel_llm_device_elsewhere{hw_id="GPU-0"' in httpx.get(f"{url}/metrics").text)
    many = len(lines(sinks))
    wait(lambda: len(lines(sinks)) > many + 1)
    assert (lines(others), others.rows("gpu_power")) == ([], [])
    first.kill()
    wait(lambda: len(lines(others)) > 1)
    assert "otel_llm_device_elsewhere{" not in httpx.get(f"{url}/metrics").text
    assert [row["incomplete"] for row in lines(others)][:2] == [True, False]
    assert lines(sinks)[-1]["ended"] <= lines(others)[0]["started"]
