"""The proof itself: scenarios for every alert, mutations that break what they say."""

import pytest

from otel_llm.alert_rules import build
from otel_llm.alert_rules.proof import promtool, run, scenario
from otel_llm.alert_rules.proof.mutations import MUTANT, mutations, together
from otel_llm.alert_rules.proof.profile import Piece, counter
from otel_llm.alert_rules.rule import Group, Rule

RULE = Rule("A", 'x{code="> 3"} > 5 and y < 2', {}, 60, {"summary": "s"})


def test_mutations() -> None:
    """Each comparison of the expression, not of its strings, both ways; then its time."""
    made = [(one.what, one.rules[0]) for one in mutations(Group("g", [RULE]))]
    assert [(what, rule.expr, rule.for_s) for what, rule in made] == [
        ("> 5 never", 'x{code="> 3"} > 1e18 and y < 2', 60),
        ("> 5 always", 'x{code="> 3"} > -1e18 and y < 2', 60),
        ("< 2 never", 'x{code="> 3"} > 5 and y < -1e18', 60),
        ("< 2 always", 'x{code="> 3"} > 5 and y < 1e18', 60),
        ("for 60 s too long", RULE.expr, 60_000),
        ("for 60 s gone", RULE.expr, 0),
    ]


def test_a_mutated_recording_is_read_by_its_own_alert() -> None:
    """Broken recordings stand beside the sound one, each with an alert that reads it alone."""
    record = Rule("r:x", "x > 0")
    group = Group("g", [record, Rule("A", "r:x", {"severity": "s"}, 0, {"summary": "s"})])
    made = mutations(group)
    assert [one.what for one in made] == ["> 0 never in r:x", "> 0 always in r:x"]
    rules = together(group, made).rules
    assert [(rule.name, rule.expr, rule.labels.get(MUTANT)) for rule in rules] == [
        ("r:x", "x > 0", None),
        ("r:x:mutant0", "x > 1e18", None),
        ("A", "r:x:mutant0", "0"),
        ("r:x:mutant1", "x > -1e18", None),
        ("A", "r:x:mutant1", "1"),
    ]


def test_counters() -> None:
    """Pieces follow one another without a jump; a reset begins at 0."""
    pieces = [Piece(120, 1.0), Piece(60, 0.5), Piece(60, 2.0, reset=True)]
    assert counter(pieces, 30) == "0+30x3 120+15x1 0+60x1"


def test_every_alert_has_both_stories() -> None:
    """Each alert must fire in one story and be quiet in another; Watchdog always fires."""
    for suite in run.suites(build.load()):
        kinds = {one.fires for one in suite.scenarios}
        assert kinds == ({True} if suite.name == "Watchdog" else {True, False}), suite.name


def test_no_story_is_about_nothing() -> None:
    """A story whose alert does not exist proves nothing."""
    names = {rule.name for rule in build.alerts(build.groups(build.load()))}
    assert {one.alert for one in scenario.load()} <= names


@pytest.mark.alerts
def test_a_broken_rule_is_noticed() -> None:
    """Promtool passes the rule as it is, and fails it with its threshold out of reach."""
    (suite,) = [one for one in run.suites(build.load()) if one.name == "GpuLost"]
    assert promtool.failures(suite.groups, suite.scenarios) == ""
    assert all(one.noticed for one in run.tried(suite))


@pytest.mark.alerts
def test_a_rule_that_holds_is_not_noticed() -> None:
    """The same rule under a mark fails no scenario: what is noticed is what was broken."""
    (suite,) = [one for one in run.suites(build.load()) if one.name == "GpuLost"]
    rule = suite.groups[-1].rules[-1]
    marked = [
        rule._replace(labels={**rule.labels, MUTANT: "sound"}),
        rule._replace(labels={**rule.labels, MUTANT: "broken"}, expr="vector(0) > 1"),
    ]
    groups = [suite.groups[-1]._replace(rules=marked)]
    assert promtool.failing(groups, suite.scenarios, ["sound", "broken"]) == {"broken"}


@pytest.mark.alerts
def test_a_mutation_that_promtool_refuses_is_no_success() -> None:
    """A rule that cannot be read was not noticed by a scenario."""
    (suite,) = [one for one in run.suites(build.load()) if one.name == "GpuLost"]
    rule = suite.groups[-1].rules[-1]
    groups = [suite.groups[-1]._replace(rules=[rule._replace(expr="up ===")])]
    with pytest.raises(promtool.PromtoolError):
        promtool.failing(groups, suite.scenarios, ["0"])


@pytest.mark.alerts
def test_all_rules_are_promql() -> None:
    """Promtool accepts every generated rule."""
    groups = [group for parts in build.groups(build.load()).values() for group in parts]
    assert promtool.check(groups) == ""
