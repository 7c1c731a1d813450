"""How texts of queries are made."""

import pytest

from otel_llm.conventions import Metrics
from otel_llm.dashboards.queries import promql, sql


def test_a_label_that_is_not_declared_cannot_be_asked() -> None:
    """A board that asks for a metric's missing label does not build."""
    with pytest.raises(ValueError, match="otel_llm_running has no label tenant"):
        promql.value(Metrics.RUNNING, "tenant")
    with pytest.raises(ValueError, match="has no label stage"):
        promql.rate(Metrics.TOKENS, stage="x")


def test_labels_are_narrowed_by_the_variables_of_their_name() -> None:
    """Model, tenant and service of a metric follow what the reader chose."""
    text = promql.rate(Metrics.TOKENS, "type").text
    assert text == (
        "sum by (type) (rate(otel_llm_tokens_total"
        '{model=~"$model", tenant=~"$tenant", service_name=~"$service"}[$__rate_interval]))'
    )


def test_quantiles_keep_buckets_and_show_exemplars() -> None:
    """A quantile sums buckets by their bound, and has exemplars on."""
    query = promql.quantile(0.95, Metrics.STEP_DURATION, "service_name")
    assert "sum by (le, service_name)" in query.text
    assert query.text.startswith("histogram_quantile(0.95, ")
    assert query.exemplars
    assert query.legend == "p95 {{service_name}}"


def test_a_place_without_a_value_names_its_statement() -> None:
    """A statement that needs more than variables give says which place is empty."""
    with pytest.raises(ValueError, match=r"callers\.sql: no value for \{by\}"):
        sql.series("callers", "calls")


def test_a_value_without_a_place_is_refused() -> None:
    """A misspelt fixed value does not pass in silence."""
    with pytest.raises(ValueError, match=r"callers\.sql has no place for bye"):
        sql.series("callers", "calls", by="all", bye="all")


def test_series_ascend_in_time_and_totals_have_no_interval() -> None:
    """Grafana wants series by ascending time; a total is one stretch."""
    series = sql.series("callers", "calls", by="all")
    assert series.text.endswith("ORDER BY time")
    assert "$__interval_s" in series.text
    assert "$__interval_s" not in sql.table("callers", "calls", by="all").text


def test_no_place_is_left() -> None:
    """Every place of a statement gets a value, comments do not go to the server."""
    text = sql.table("slo").text
    assert "{" not in text.replace("${", "")
    assert "--" not in text


def test_fixed_texts_are_literals() -> None:
    """A quote in a fixed value ends no literal."""
    assert "'it''s'" in sql.table("callers", by="it's").text
