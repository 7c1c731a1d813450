"""SLO: how much budget is left, how fast does it burn, and on what?"""

from otel_llm.conventions import Metrics
from otel_llm.conventions.rules import Recorded
from otel_llm.dashboards.grafana.board import Board, Row
from otel_llm.dashboards.grafana.fields import AMBER, RED, Column, Limits
from otel_llm.dashboards.grafana.panels import About, Panel
from otel_llm.dashboards.links import to_board, to_trace
from otel_llm.dashboards.queries import promql, sql
from otel_llm.dashboards.variables import variables

_CALLS = "`llm_gateway_calls`"
_REQUESTS = to_board("requests", "Calls one by one", ("model", "tenant"))
_FAST = Limits(6, 14.4)
"""Burn rates that page in the SRE workbook: 14.4 over an hour, 6 over six."""

_BUDGET = Row("Budget", (
    Panel(
        "Good calls", "stat",
        (sql.table("slo", "sum(good) / nullIf(sum(counted), 0) AS good_ratio"),),
        About("Share of calls within the objective chosen above.", _CALLS,
              "Below the target: see what burned the budget."),
        unit="percentunit", width=6, height=5, decimals=2, limits=Limits(0.99, 0.95),
        links=(_REQUESTS,),
    ),
    Panel(
        "Budget left", "stat",
        (sql.table("burn", "argMax(budget_left, start_ns) AS budget_left"),),
        About("Share of this time range's error budget that is left.", _CALLS,
              "Negative: overspent."),
        unit="percentunit", width=6, height=5, decimals=0, limits=Limits(0.5, 0),
        links=(_REQUESTS,),
    ),
    Panel(
        "Burn rate, 1 h", "stat", (sql.table("burn", "argMax(burn_1h, start_ns) AS burn"),),
        About("How fast the budget burns: 1 spends it exactly in the objective's time.", _CALLS,
              "Above 14.4 it pages: a 30-day budget would be gone in two days."),
        width=6, height=5, decimals=1, limits=_FAST, links=(_REQUESTS,),
    ),
    Panel(
        "Goodput", "stat", (sql.table("slo", "sum(good_calls_per_s) AS good_calls_per_s"),),
        About("Calls per second within the objective.", _CALLS,
              "Compare with all calls on the Overview."),
        unit="reqps", width=6, height=5, decimals=2,
        links=(to_board("overview", "Overview", ("model", "tenant")),),
    ),
    Panel(
        "Burn rates", "timeseries", (sql.series("burn", "burn_5m, burn_1h, burn_6h"),),
        About("Burn rates over three windows. A page needs a long and a short one together, so "
              "that it begins early and ends soon.", _CALLS,
              "The short one high alone: a moment. Both: act."),
        width=12, limits=_FAST, low=0, links=(_REQUESTS,),
    ),
    Panel(
        "Budget left over time", "timeseries", (sql.series("burn", "budget_left"),),
        About("How the budget shrank.", _CALLS, "A cliff: look at that minute on the Overview."),
        unit="percentunit", width=12,
        links=(to_board("overview", "Overview", ("model", "tenant")),),
    ),
))  # fmt: skip

_OBJECTIVES = Row("Objectives that alert", (
    Panel(
        "Budget left by objective", "bargauge",
        (promql.recorded(Recorded.REMAINING, "min", "slo"),),
        About("Error budget left in each objective's own period, where it is least.",
              f"`{Recorded.REMAINING}`, by the rules of `alert_rules/generated`",
              "Empty: Prometheus does not load the rules. Negative: overspent."),
        unit="percentunit", limits=Limits(0.5, 0), links=(_REQUESTS,),
    ),
    Panel(
        "Burn rate by objective", "timeseries",
        (promql.recorded(Recorded.CURRENT_BURN, "max", "slo"),),
        About("How many times too fast each objective's budget is spent now.",
              f"`{Recorded.CURRENT_BURN}`", "Above 14.4 it pages. See the alert's runbook."),
        low=0, limits=_FAST, links=(_REQUESTS,),
    ),
    Panel(
        "Alerts", "table", (promql.alerts(),),
        About("Alerts that are pending or firing.", "`ALERTS`, which Prometheus keeps",
              "Each alert has a runbook: `otel-llm alerts explain NAME`."),
        columns=(Column("Time", hidden=True), Column("Value", title="series")),
        links=(_REQUESTS,),
    ),
))  # fmt: skip

_CAUSES = Row("What burned it", (
    Panel(
        "By cause, model and tenant", "table", (sql.table("burners", limit=50),),
        About("Calls that missed the objective by their one cause: an error, else the first limit "
              "missed. Each line has a trace.", _CALLS,
              "The first line is where to begin: open its trace."),
        width=13, height=9,
        columns=(Column("bad_ratio", "percentunit"),
                 Column("trace_id", title="a trace", width=150, links=(to_trace(),))),
    ),
    Panel(
        "Attainment by model and tenant", "table",
        (sql.table("slo", "model, tenant, counted, good, good_ratio, good_calls_per_s, "
                   "good_tokens_per_s", limit=50),),
        About("Who got what was promised, the least first.", _CALLS,
              "One tenant alone below: its load or its quota. All: the engines."),
        width=11, height=9, columns=(Column("good_ratio", "percentunit"),), links=(_REQUESTS,),
    ),
    Panel(
        "Calls that failed or were shed", "timeseries",
        (sql.series("callers", "part, calls_per_s", by="outcome",
                    where="part IN ('failed', 'shed', 'gateway_died')"),),
        About("Calls per second that are bad whatever the limits.", _CALLS,
              "Shed: raise capacity or the gateway's limit. Failed: see the error classes."),
        unit="reqps", stacked=True, draw="bars", name="${__field.labels.part}", links=(_REQUESTS,),
        columns=(Column("failed", color=RED), Column("shed", color=AMBER)),
    ),
    Panel(
        "Calls against the gateway's targets", "timeseries",
        (promql.rate(Metrics.TARGET_CALLS, "missed"),),
        About("Calls per second by the first of the gateway's own targets that they missed; `none` "
              "is goodput.", f"`{Metrics.TARGET_CALLS.name}`",
              "The targets are settings of the gateway; those above are of this board."),
        unit="reqps", stacked=True, links=(_REQUESTS,),
    ),
    Panel(
        "TTFT_caller against its limit", "timeseries",
        (sql.series("callers", "ttft_p50_s, ttft_p95_s, ttft_p99_s", by="all"),),
        About("Quantiles of TTFT_caller; the limit is chosen above.", _CALLS,
              "p95 above the limit: every twentieth call is bad."),
        unit="s", links=(_REQUESTS,),
    ),
))  # fmt: skip


def board() -> Board:
    """The board."""
    chosen = ("clickhouse", "prometheus", "model", "tenant", "target", "ttft_s", "itl_s", "e2e_s")
    return Board(
        "slo", "SLO",
        "How much error budget is left, how fast does it burn, and on what?",
        variables(chosen), (_BUDGET, _OBJECTIVES, _CAUSES),
    )  # fmt: skip
