"""Grafana's macros and variables, as the data source's source has them."""

import pytest

from benchmarks.dashboards import macros

# 2014-11-12T11:45:26.371Z and a year later, the times of the data source's own tests.
RANGE = macros.Range(1_415_792_726_371, 1_447_328_726_371, 20, 60)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("a > $__fromTime", "a > toDateTime(1415792726)"),
        ("a < $__toTime", "a < toDateTime(1447328726)"),
        ("f($__fromTime_ms)", "f(fromUnixTimestamp64Milli(1415792726371))"),
        ("f($__toTime_ms)", "f(fromUnixTimestamp64Milli(1447328726371))"),
        ("INTERVAL $__interval_s second", "INTERVAL 20 second"),
    ],
)
def test_macros(text: str, expanded: str) -> None:
    """Each macro becomes what the data source makes of it."""
    assert macros.sql(text, RANGE, {}) == expanded


def test_an_interval_is_a_second_at_least() -> None:
    """As in the data source, so that nothing is divided by 0."""
    assert macros.sql("$__interval_s", RANGE._replace(interval_s=0), {}) == "1"


def test_an_unknown_macro_is_refused() -> None:
    """A macro that nobody expands would reach the server as it is."""
    with pytest.raises(ValueError, match=r"\$__timeFilter"):
        macros.sql("WHERE $__timeFilter(t)", RANGE, {})


def test_variables() -> None:
    """Plain variables go in as they are, percent-encoded ones as Grafana's own test has them."""
    chosen = {"tenant": "foo()bar BAZ\\'", "model": ".*"}
    assert macros.sql("${tenant:percentencode}", RANGE, chosen) == "foo%28%29bar%20BAZ%5C%27"
    text = macros.promql('a{m=~"$model"}[$__rate_interval]', RANGE, chosen)
    assert text == 'a{m=~".*"}[60s]'
    assert macros.promql("increase(a[$__range])", RANGE, {}) == "increase(a[31536000s])"
    with pytest.raises(KeyError):
        macros.sql("$stranger", RANGE, chosen)
