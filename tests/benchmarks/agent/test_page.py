"""The page says what was wanted, what came out, and what nobody can do without."""

import json

from benchmarks.agent import page
from benchmarks.report import RESULTS


def test_goal_value_and_floor_stand_side_by_side() -> None:
    """And a goal that was missed is named."""
    result = json.loads((RESULTS / "agent.json").read_text(encoding="utf-8"))
    result |= {
        "agent_core_share": 0.5, "floor_core_share": 0.125, "missed": ["agent_core_share is 0.5"],
        "pace_ms": {"least": 9.5, "median": 14.25},
        "threads_ms": {"loop": 401.5, "to-clickhouse": 20.5},
        "floor_parts_ms": {"blocks": 15.4},
    }  # fmt: skip
    text = page.render(result)
    assert "| `loop` | 401.5 |" in text
    assert "| the whole agent, of a core | 0.25 | 0.50 | 0.12 |" in text
    assert "| blocks | 15.4 |" in text
    assert "took 14.25 ms in the middle and 9.5 at best" in text
    assert "- agent_core_share is 0.5" in text
