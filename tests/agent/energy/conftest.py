"""The rig."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm.settings import Settings
from otel_llm.testing import FakeClock
from tests.agent.energy.rig import Rig


@pytest.fixture
def rig(tmp_path: Path, clock: FakeClock) -> Iterator[Rig]:
    """An agent on this boot."""
    made = Rig(
        Settings(
            journal_dir=str(tmp_path / "journals"),
            journal_bytes=4 << 20,
            state_dir=str(tmp_path / "state"),
            step_span_ratio=0.0,
            poll_interval_s=0.1,
        ),
        clock,
    )
    yield made
    made.agent._journals.close()
    made.database.close()
