"""Runs promtool on groups and scenarios."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from otel_llm.alert_rules import render
from otel_llm.alert_rules.proof.mutations import MUTANT
from otel_llm.alert_rules.proof.scenario import Scenario, promtool
from otel_llm.alert_rules.rule import Group
from otel_llm.errors import OtelLLMError

TIMEOUT_S = 900
_FAILED = re.compile(rf'expr: .*{MUTANT}=\\?"(\w+)')
"""The version that promtool says failed."""


class PromtoolError(OtelLLMError):
    """promtool is missing or refuses its input."""


def find(name: str = "promtool") -> str:
    """Path of a program that comes with Prometheus or Alertmanager.

    Raises:
        PromtoolError: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        message = (
            f"{name} is not installed. "
            "On Debian: apt-get install prometheus prometheus-alertmanager."
        )
        raise PromtoolError(message)
    return found


def check(groups: Iterable[Group]) -> str:
    """What promtool says against the rules; empty if nothing."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rules.yaml"
        file.write_text(render.rule_file(list(groups)), encoding="utf-8")
        return _run("check", "rules", str(file))


def failures(groups: Sequence[Group], scenarios: Sequence[Scenario]) -> str:
    """What fails when scenarios are tried on groups; empty if all holds."""
    return "\n".join(filter(None, _tested(groups, scenarios, ({},))))


def failing(
    groups: Sequence[Group], scenarios: Sequence[Scenario], marks: Iterable[str]
) -> set[str]:
    """Which of an alert's versions fail a scenario.

    Args:
        groups: rules; the alert is there in versions that the label `MUTANT` tells apart.
        scenarios: to try each version on.
        marks: values of that label.

    Raises:
        PromtoolError: promtool refuses a version, which is not a failed scenario.
    """
    told = list(_tested(groups, scenarios, [{MUTANT: mark} for mark in marks]))
    for one in filter(None, told):
        if "FAILED:\n" not in one or not _FAILED.search(one):
            raise PromtoolError(one)
    return {mark for one in told for mark in _FAILED.findall(one)}


def _tested(
    groups: Sequence[Group],
    scenarios: Sequence[Scenario],
    versions: Sequence[Mapping[str, str]],
) -> Iterator[str]:
    names = [group.name for group in groups]
    ordered = sorted(scenarios, key=lambda one: one.evaluate_s)
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.yaml"
        rules.write_text(render.rule_file(groups), encoding="utf-8")
        for evaluate_s, parts in groupby(ordered, key=lambda one: one.evaluate_s):
            file = Path(folder) / f"test-{evaluate_s:g}.yaml"
            text = promtool(list(parts), rules, names, versions)
            file.write_text(text, encoding="utf-8")
            yield _run("test", "rules", str(file))


def _run(*arguments: str) -> str:
    command = [find(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}".strip() or "failed"
