"""`make test-alerts`: every scenario holds. `make mutate-alerts`: every broken rule is noticed.

Writes `benchmarks/results/alerts.json` and `alerts.md`, which list the mutations.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec

from otel_llm.alert_rules import build, durations, health, windows
from otel_llm.alert_rules.burn import Burn
from otel_llm.alert_rules.model import Slo
from otel_llm.alert_rules.proof import burns, promtool, scenario
from otel_llm.alert_rules.proof.mutations import mutations, together
from otel_llm.alert_rules.proof.scenario import Scenario
from otel_llm.alert_rules.rule import Group
from otel_llm.conventions import Recorded

WORKERS = 2
RESULTS = Path("benchmarks/results")


class Suite(NamedTuple):
    """An alert's scenarios with the groups that they need; the last group holds the alert.

    Attributes:
        name: for messages.
        groups: recordings first.
        scenarios: to try.
    """

    name: str
    groups: tuple[Group, ...]
    scenarios: tuple[Scenario, ...]


class Tried(msgspec.Struct, frozen=True):
    """A mutation and whether a test noticed it."""

    alert: str
    what: str
    noticed: bool


def suites(slos: Sequence[Slo]) -> Iterator[Suite]:
    """Every alert's."""
    told = scenario.load()
    for group in health.load():
        names = dict.fromkeys(rule.name for rule in group.rules if rule.is_alert)
        for name in names:
            wanted = tuple(one for one in told if one.alert == name)
            rules = [rule for rule in group.rules if not rule.is_alert or rule.name == name]
            yield Suite(name, (group._replace(rules=rules),), wanted)
    for slo in slos:
        yield from _of(slo)


def _of(slo: Slo) -> Iterator[Suite]:
    """One suite for each burn window, with the recordings that it needs: the others cost time."""
    whole = Burn(slo, windows.load(), windows.SCRAPE_S)
    groups = whole.groups()
    for one in _by_window(burns.scenarios(slo, whole.pairs)):
        window = one[0].labels.get("window", "")
        alert = one[0].alert
        keep = _needed(whole, window)
        recordings = [rule for group in groups[:-1] for rule in group.rules if rule.name in keep]
        alerts = [
            rule
            for rule in groups[-1].rules
            if rule.name == alert and rule.labels.get("window", "") == window
        ]
        parts = (Group("recordings", recordings), groups[-1]._replace(rules=alerts))
        yield Suite(f"{alert} {window}".strip(), parts, tuple(one))


def _by_window(scenarios: Iterator[Scenario]) -> list[list[Scenario]]:
    found: dict[tuple[str, str], list[Scenario]] = {}
    for one in scenarios:
        found.setdefault((one.alert, one.labels.get("window", "")), []).append(one)
    return list(found.values())


def _needed(whole: Burn, window: str) -> set[str]:
    lengths = {whole.lengths[0]}
    for pair in whole.pairs:
        if durations.text(pair.long_s) == window:
            lengths |= {pair.long_s, pair.short_s}
    return {
        f"{name}{durations.text(length)}"
        for name in (Recorded.BAD, Recorded.TOTAL, Recorded.ERROR)
        for length in lengths
    }


def tried(suite: Suite) -> list[Tried]:
    """Break a suite's alert in every way, and see whether its scenarios notice."""
    made = mutations(suite.groups[-1])
    broken = (*suite.groups[:-1], together(suite.groups[-1], made))
    noticed = (
        promtool.failing(broken, suite.scenarios, [one.mark for one in made]) if made else set()
    )
    return [Tried(suite.name, one.what, one.mark in noticed) for one in made]


def main(arguments: list[str] | None = None) -> int:
    """Run it.

    Returns:
        0 if every scenario holds and every mutation is noticed, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m otel_llm.alert_rules.proof.run")
    parser.add_argument("--only", default="", help="alerts whose name holds this")
    parser.add_argument("--no-mutations", action="store_true")
    parser.add_argument("--results", type=Path, help="folder for alerts.json and alerts.md")
    chosen = parser.parse_args(arguments)
    began_s = time.monotonic()
    chosen_suites = [one for one in suites(build.load()) if chosen.only in one.name]
    with ThreadPoolExecutor(WORKERS) as pool:
        failed = [told for told in pool.map(_failures, chosen_suites) if told]
        broken = [] if chosen.no_mutations else _mutate(pool, chosen_suites)
    for told in failed:
        sys.stdout.write(f"{told}\n")
    survived = [one for one in broken if not one.noticed]
    for one in broken:
        mark = "noticed " if one.noticed else "SURVIVED"
        sys.stdout.write(f"{mark}  {one.alert}: {one.what}\n")
    count = sum(len(one.scenarios) for one in chosen_suites)
    sys.stdout.write(
        f"{len(chosen_suites)} alerts, {count} scenarios, {len(failed)} failed; "
        f"{len(broken)} mutations, {len(survived)} survived; {time.monotonic() - began_s:.0f} s\n"
    )
    if chosen.results is not None:
        _write(chosen.results, len(chosen_suites), count, broken)
    return 1 if failed or survived else 0


def _mutate(pool: ThreadPoolExecutor, of: Sequence[Suite]) -> list[Tried]:
    return [one for found in pool.map(tried, of) for one in found]


def _failures(suite: Suite) -> str:
    if not suite.scenarios:
        return f"{suite.name}: has no scenario"
    told = promtool.failures(suite.groups, suite.scenarios)
    return f"{suite.name}:\n{told}" if told else ""


def _write(folder: Path, alerts: int, scenarios: int, broken: Sequence[Tried]) -> None:
    survived = sum(not one.noticed for one in broken)
    result = {
        "alerts": alerts, "scenarios": scenarios, "mutations": len(broken), "survived": survived,
        "method": "promtool unit tests; each condition never and always true, each `for` too long "
        "and gone", "list": [msgspec.to_builtins(one) for one in broken],
    }  # fmt: skip
    text = msgspec.json.format(msgspec.json.encode(result), indent=2).decode()
    (folder / "alerts.json").write_text(text + "\n", encoding="utf-8")
    lines = ["# Alert rules under test", ""]
    lines += ["| alerts and windows | scenarios | mutations | survived |", "|---|---|---|---|"]
    lines += [f"| {alerts} | {scenarios} | {len(broken)} | {survived} |", ""]
    lines += ["| alert | broken | noticed |", "|---|---|---|"]
    lines += [
        f"| {one.alert} | `{one.what}` | {'yes' if one.noticed else 'NO'} |" for one in broken
    ]
    (folder / "alerts.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
