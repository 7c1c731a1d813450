"""Our burn rules beside what Sloth makes of the same objective, on the same series.

Sloth's rules are written here as its published example has them (its examples/_gen): rates of the
counters in every window, one page and one ticket, each of two pairs of windows, no `for`.
"""

import re
import subprocess
from pathlib import Path

import pytest

from otel_llm.alert_rules import durations, render, windows
from otel_llm.alert_rules.burn import Burn
from otel_llm.alert_rules.model import Ratio, Slo
from otel_llm.alert_rules.proof.profile import Piece, counter
from otel_llm.alert_rules.proof.promtool import find
from otel_llm.alert_rules.rule import Group, Rule

METRIC = "otel_llm_gateway_calls_total"
BUDGET = 0.001
CLEAN_S = 9 * 3600.0
OURS = Slo("o", "O", 99.9, Ratio(METRIC, [{"outcome": "failed"}]), by=[])
PAIRS = {
    "SlothPage": (("5m", "1h", 14.4), ("30m", "6h", 6)),
    "SlothTicket": (("2h", "1d", 3), ("6h", "3d", 1)),
}


def sloth() -> Group:
    """Sloth's rules of the objective."""
    lengths = sorted({length for pairs in PAIRS.values() for one in pairs for length in one[:2]})
    records = [
        Rule(
            f"sloth:sli_error:ratio_rate{length}",
            f'sum(rate({METRIC}{{outcome="failed"}}[{length}])) / sum(rate({METRIC}[{length}]))',
        )
        for length in lengths
    ]
    alerts = [
        Rule(
            name,
            " or ".join(_burns(*pair) for pair in pairs),
            {"severity": "x"},
            0,
            {"summary": "s"},
        )
        for name, pairs in PAIRS.items()
    ]
    return Group("sloth", [*records, *alerts])


def _burns(short: str, long: str, factor: float) -> str:
    above = [f"(sloth:sli_error:ratio_rate{one} > {factor} * {BUDGET})" for one in (short, long)]
    return f"({' and '.join(above)})"


def first_s(folder: Path, share: float, hours: int) -> dict[str, float]:
    """When each alert's condition first held, in seconds from the first error; absent if never."""
    groups = [*Burn(OURS, windows.load(), windows.SCRAPE_S).groups(), sloth()]
    (folder / "rules.yaml").write_text(render.rule_file(groups))
    bad_s, clean, step_s = hours * 3600.0, CLEAN_S, 60.0
    good = counter([Piece(clean, 10.0), Piece(bad_s, 10.0 * (1 - share))], step_s)
    bad = counter([Piece(clean, 0.0), Piece(bad_s, 10.0 * share)], step_s)
    alerts = {
        "SlothPage": 'alertname="SlothPage"', "SlothTicket": 'alertname="SlothTicket"',
        "page": 'alertname="OBurn",severity="critical"',
        "ticket": 'alertname="OBurn",severity="warning"',
    }  # fmt: skip
    end = durations.text(clean + bad_s)
    text = (
        f"rule_files: [rules.yaml]\nevaluation_interval: 1m\n"
        f"group_eval_order: {[group.name for group in groups]}\n"
        f"tests:\n- interval: 1m\n  input_series:\n"
        f"  - {{series: '{METRIC}{{outcome=\"finished\"}}', values: '{good}'}}\n"
        f"  - {{series: '{METRIC}{{outcome=\"failed\"}}', values: '{bad}'}}\n"
        "  promql_expr_test:\n"
    )
    for matcher in alerts.values():
        # No value is expected, so that promtool says what it got.
        seen = f"min_over_time((min(timestamp(ALERTS{{{matcher}}})))[{end}:1m])"
        text += f"  - {{expr: '{seen}', eval_time: {end}}}\n"
    (folder / "test.yaml").write_text(text)
    done = subprocess.run(
        [find(), "test", "rules", "test.yaml"],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    told = done.stdout + done.stderr
    found = {}
    for name, matcher in alerts.items():
        quoted = re.escape(matcher.replace('"', '\\"'))
        got = re.search(rf"{quoted}.*?got: (?:\{{\}} )?(\S+)", told, re.DOTALL)
        if got is not None:
            found[name] = float(got[1]) - clean
    return found


@pytest.mark.alerts
@pytest.mark.parametrize(
    ("share", "hours", "names"),
    [
        (1.0, 2, {"SlothPage", "SlothTicket", "page", "ticket"}),
        (0.1, 2, {"SlothPage", "SlothTicket", "page", "ticket"}),
        (0.02, 4, {"SlothPage", "SlothTicket", "page", "ticket"}),
        (0.008, 8, {"SlothPage", "SlothTicket", "page", "ticket"}),
        (0.004, 8, {"SlothTicket", "ticket"}),
        (0.0008, 8, set()),
    ],
)
def test_the_same_conditions(tmp_path: Path, share: float, hours: int, names: set[str]) -> None:
    """Pages begin to pend in the minute in which Sloth's fire; tickets within one 5-minute step."""
    found = first_s(tmp_path, share, hours)
    assert found.keys() == names
    if "page" in names:
        assert found["page"] == found["SlothPage"] > 0
    if "ticket" in names:
        assert 0 <= found["ticket"] - found["SlothTicket"] <= 300
