"""Versions: is the canary better or worse than stable, beyond chance?"""

from otel_llm.dashboards.grafana.board import Board, Row
from otel_llm.dashboards.grafana.fields import Column
from otel_llm.dashboards.grafana.panels import About, Panel
from otel_llm.dashboards.links import to_board
from otel_llm.dashboards.queries import sql
from otel_llm.dashboards.variables import variables

_REQUESTS = "`llm_requests`"
_SIDES = f"service IN ({sql.choice('stable')}, {sql.choice('canary')})"
_ENGINE = to_board("engine", "Engines", ("model", "tenant"))

_VERDICT = Row("Canary less stable", (
    Panel(
        "Differences", "table", (sql.table("versions_apart", limit=20),),
        About("Canary less stable for each measure, with a 95 % confidence interval (Welch). Of "
              "five measures one will differ by chance in every fourth look or so. "
              "Under 30 requests on a side nothing is said.", _REQUESTS,
              "`worse`: the whole interval is above 0. `no difference shown` is not `equal`: wait "
              "for more requests. A shadow gets the same calls; a canary may get others, so "
              "compare prompt lengths first."),
        width=24, height=7, decimals=4, links=(_ENGINE,),
    ),
))  # fmt: skip

_SIDE_BY_SIDE = Row("Side by side", (
    Panel(
        "First token", "table",
        (sql.table("versions", "service, version, timed, ttft_low_s, ttft_mean_s, ttft_high_s"),),
        About("Mean TTFT_engine with its 95 % interval.", _REQUESTS,
              "Intervals that do not overlap differ; see the verdict above for those that do."),
        unit="s", height=6, columns=(Column("timed", "short"),), links=(_ENGINE,),
    ),
    Panel(
        "Time per output token", "table",
        (sql.table("versions", "service, version, paced, tpot_low_s, tpot_mean_s, tpot_high_s"),),
        About("Mean time per output token with its 95 % interval.", _REQUESTS,
              "It depends on the batch: compare batch sizes too."),
        unit="s", height=6, columns=(Column("paced", "short"),), links=(_ENGINE,),
    ),
    Panel(
        "Failures", "table",
        (sql.table("versions", "service, version, requests, failed, failed_low, failed_ratio, "
                   "failed_high"),),
        About("Share of requests that failed, with Wilson's 95 % interval.", _REQUESTS,
              "A wide interval: too few requests to tell."),
        unit="percentunit", height=6,
        columns=(Column("requests", "short"), Column("failed", "short")), links=(_ENGINE,),
    ),
    Panel(
        "TTFT_engine over time", "timeseries",
        (sql.series("stages", "service, ttft_p50_s, ttft_p95_s", where=_SIDES, service=""),),
        About("Quantiles of both over time.", _REQUESTS,
              "A difference that begins at one moment is a cause, not chance."),
        unit="s", width=12, name="${__field.name} ${__field.labels.service}", links=(_ENGINE,),
    ),
    Panel(
        "Batch size over time", "timeseries",
        (sql.series("step_work", "service, batch_mean", where=_SIDES, service=""),),
        About("Mean batch of both: whether they had the same work.", "`llm_steps`",
              "Different: the comparison above is between loads, not versions."),
        width=12, name="${__field.labels.service}", links=(_ENGINE,),
    ),
    Panel(
        "What ran", "table",
        (sql.table("producers", "kind, service, engine, engine_version, model, model_version, "
                   "driver_version, cuda_version, host, fromUnixTimestamp64Nano(start_ns) AS since",
                   service="", limit=100),),
        About("Processes that wrote facts then, and the versions of all they are made of.",
              "`llm_producers`, `llm_engine_events`",
              "More than the version differs: the comparison is of both."),
        width=24, columns=(Column("since", width=190),), links=(_ENGINE,),
    ),
))  # fmt: skip


def board() -> Board:
    """The board."""
    chosen = ("clickhouse", "prometheus", "model", "tenant", "stable", "canary")
    return Board(
        "versions", "Versions",
        "Is the canary, or the shadow, better or worse than stable, beyond chance?",
        variables(chosen), (_VERDICT, _SIDE_BY_SIDE),
    )  # fmt: skip
