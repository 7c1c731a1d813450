"""Rules name only series and labels that exist."""

import pytest

from otel_llm.alert_rules import build, expression
from otel_llm.alert_rules.expression import Use


def test_uses() -> None:
    """Series and the labels they are selected by, without functions, groupings and strings."""
    expr = """
      sum by (model, tier) (rate(a_total{outcome="b{c}",x!~"y"}[5m]))
        > on (model) group_left (z) 2 * clamp_min(b:ratio, 1e3) and absent(c) or d offset 1h
    """
    assert list(expression.uses(expr)) == [
        Use("a_total", ("outcome", "x")), Use("b:ratio", ()), Use("c", ()), Use("d", ()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("expr", "problem"),
    [
        ("rate(otel_llm_gateway_cals_total[5m])", "no metric is called"),
        ('otel_llm_gateway_calls_total{outcom="x"}', "has no label `outcom`"),
        ("llm:waitin > 3", "no metric is called"),
    ],
)
def test_a_renamed_metric_breaks_the_build(expr: str, problem: str) -> None:
    """A name or label that is not declared is found."""
    found = expression.problem(expr)
    assert found is not None
    assert problem in found[0]


def test_every_generated_expression_is_sound() -> None:
    """All rules, of objectives too, name what exists; sources are others' own names."""
    groups = build.groups(build.load())
    recorded = {rule.name for parts in groups.values() for group in parts for rule in group.rules}
    for name, parts in groups.items():
        if name.startswith("normalise-"):
            continue
        for group in parts:
            for rule in group.rules:
                assert expression.problem(rule.expr, recorded) is None, rule.name
