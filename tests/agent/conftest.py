"""Sinks, settings and waiting for the agent's tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_llm.settings import Settings
from otel_llm.testing import FakeClock
from tests.agent.bench import Bench
from tests.agent.fake_sinks import FakeSinks
from tests.waiting import until


@pytest.fixture
def sinks() -> Iterator[FakeSinks]:
    """Both sinks, behaving well."""
    fake = FakeSinks()
    yield fake
    fake.close()


@pytest.fixture
def settings(tmp_path: Path, sinks: FakeSinks) -> Settings:
    """An agent in a hurry, sending to the fake sinks."""
    return Settings(
        journal_dir=str(tmp_path / "journals"),
        journal_bytes=4 << 20,
        state_dir=str(tmp_path / "state"),
        data_dir=str(tmp_path / "data"),
        clickhouse_url=sinks.url,
        otlp_endpoint=sinks.url,
        poll_interval_s=0.01,
        batch_interval_s=0.02,
        step_span_ratio=0.5,
        send_timeout_s=20.0,
        agent_port=0,
        device_claim_dir=str(tmp_path / "claims"),
    )


Wait = Callable[[Callable[[], bool]], None]


@pytest.fixture
def wait() -> Wait:
    """Wait until a condition holds, at most 60 seconds."""
    return until


@pytest.fixture
def bench(tmp_path: Path, clock: FakeClock) -> Iterator[Bench]:
    """A bench with small bounds."""
    made = Bench(
        Settings(
            journal_dir=str(tmp_path / "journals"),
            journal_bytes=1 << 20,
            state_dir=str(tmp_path / "state"),
            step_span_ratio=0.0,
            dead_journal_keep_s=60.0,
        ),
        clock,
    )
    yield made
    made.agent._journals.close()
    made.database.close()
