"""The page says what was wanted, what came out, and what nobody can do without."""

import json

from benchmarks.agent import page
from benchmarks.report import RESULTS


def test_goal_value_and_floor_stand_side_by_side() -> None:
    """And a goal that was missed is named."""
    result = json.loads((RESULTS / "agent.json").read_text(encoding="utf-8"))
    result |= {
        "agent_core_share": 0.5, "floor_core_share": 0.125, "missed": ["agent_core_share is 0.5"],
        "best_pace_ms": 9.5, "core_share_at_best_pace": [0.25, 0.375],
        "threads_ms": {"loop": 401.5, "to-clickhouse": 20.5},
        "floor_parts_ms": {"blocks": 15.4},
    }  # fmt: skip
    result["runs"] = [{**one, "pace_ms": 14.25} for one in result["runs"]]
    text = page.render(result)
    assert "| `loop` | 401.5 |" in text
    assert "| the whole agent, of a core | 0.25 | 0.50 | 0.12 |" in text
    assert "| blocks | 15.4 |" in text
    assert "was\n9.5 ms at best" in text
    assert "would take\n0.25, 0.38 of a core" in text
    assert "- agent_core_share is 0.5" in text
