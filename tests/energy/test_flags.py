"""What may be wrong with a window, and the page that lists it."""

import random
import re
from pathlib import Path

from otel_llm.agent.energy.device import LOST
from otel_llm.energy.meter import Meter, Window
from otel_llm.energy.mig import split

PAGE = Path(__file__).parents[2] / "docs/energy.md"
S = 1_000_000_000


def test_the_page_lists_each_flag_there_is() -> None:
    """Those of a meter that is fed all that may come, of lost records and of idle instances."""
    chance, meter, windows, at = random.Random(1), Meter(), list[Window](), 0
    for place in range(5_000):
        at += chance.choice([S // 10, S // 10, S // 2, 3 * S, -1])
        energy = chance.choice([place * 90_000.0, 5.0, 5.0, -1.0, None])
        windows += meter.add(at, energy, chance.choice([300_000.0, None, -1.0]))
        windows += meter.lose() if chance.random() < 0.05 else []
    [idle] = split(Window(0, S, 5, "counter", 1), {"a": 1}, {}).values()
    found = {flag for window in [*windows, idle] for flag in window.flags}
    table = PAGE.read_text(encoding="utf-8").partition("| flag |")[2].partition("\n\n")[0]
    heads = [row.split("|")[1] for row in table.splitlines()[2:]]
    listed = {name for head in heads for name in re.findall(r"`(\w+)`", head)}
    assert found | {LOST} <= listed
    assert listed - found <= {LOST}
