"""Requests: which calls were slow, dear or failed?"""

from otel_llm.conventions import Metrics
from otel_llm.dashboards.grafana.board import Board, Row
from otel_llm.dashboards.grafana.fields import Column
from otel_llm.dashboards.grafana.panels import About, Panel
from otel_llm.dashboards.links import to_board, to_trace
from otel_llm.dashboards.queries import promql, sql
from otel_llm.dashboards.variables import variables

_CALLS = "`llm_gateway_calls`"
_LISTED = "fromUnixTimestamp64Nano(start_ns) AS arrived, trace_id, tenant, model"
_SHOWN = (
    Column("trace_id", title="trace", width=150, links=(to_trace(),)),
    Column("ttft_s", "s"),
    Column("e2e_s", "s"),
    Column("energy_j", "joule"),
    Column("arrived", width=190),
)

_SPREAD = Row("How long callers waited", (
    Panel(
        "TTFT_caller", "heatmap", (promql.buckets(Metrics.TTFT_CALLER),),
        About("How many calls got their first content after how long. White marks are exemplars: "
              "click one for its trace.", f"`{Metrics.TTFT_CALLER.name}`",
              "Two bands are two kinds of calls: long prompts, or calls that queued. A band that "
              "moves up is a growing queue."),
        unit="s", width=12, height=9, links=(to_board("engine", "Queues", ("model", "tenant")),),
    ),
    Panel(
        "Duration of finished calls", "bargauge",
        (sql.table("call_spread", "took, calls", limit=40),),
        About("How many calls took how long; each bar reaches twice as far as the last.", _CALLS,
              "A second hump far right: retries, queueing or long answers. See the list below."),
        width=12, height=9,
    ),
))  # fmt: skip

_LISTS = Row("Calls one by one", (
    Panel(
        "Slowest", "table",
        (sql.table("listed_calls", f"{_LISTED}, outcome, attempts, prompt_tokens, output_tokens, "
                   "ttft_s, e2e_s", order="slow", limit=25),),
        About("The calls that took longest. The trace id opens what happened.", _CALLS,
              "Many of one tenant or model: choose it above. Several attempts: see the gateway."),
        width=24, height=9, columns=_SHOWN,
    ),
    Panel(
        "Most expensive", "table",
        (sql.table("listed_calls", f"{_LISTED}, prompt_tokens, output_tokens, energy_j, e2e_s",
                   order="dear", limit=25),),
        About("The calls with most joules; where no energy is known, with most tokens.",
              f"{_CALLS}, `llm_request_energy`",
              "Huge prompts without cache hits: see the prefix cache on the Engine board."),
        width=12, height=9, columns=_SHOWN,
    ),
    Panel(
        "Failed or shed", "table",
        (sql.table("listed_calls", f"{_LISTED}, outcome, status_code, error_class, attempts",
                   order="failed", limit=25),),
        About("The newest calls that failed or were turned away.", _CALLS,
              "The error class says which side: `http_...` is an upstream's answer, "
              "`max_in_flight` the gateway's own limit."),
        width=12, height=9, columns=_SHOWN,
    ),
))  # fmt: skip

_ERRORS = Row("What went wrong", (
    Panel(
        "Errors by class", "table",
        (sql.table("error_classes", limit=25),),
        About("Error classes of calls, with one trace of each.", _CALLS,
              "Start with the most frequent, and open its trace."),
        width=12, columns=(Column("trace_id", title="a trace", width=150, links=(to_trace(),)),),
    ),
    Panel(
        "How calls ended, by model and tenant", "table",
        (sql.table("errors", "model, tenant, calls, finished, failed, shed, cancelled, died, "
                   "error_ratio, shed_ratio", limit=50),),
        About("Calls by how they ended.", _CALLS,
              "One line alone with errors: that model or tenant. All lines: the gateway or the "
              "engines."),
        width=12,
        columns=(Column("error_ratio", "percentunit"), Column("shed_ratio", "percentunit")),
    ),
))  # fmt: skip


def board() -> Board:
    """The board."""
    chosen = ("clickhouse", "prometheus", "model", "tenant")
    return Board(
        "requests", "Requests",
        "Which calls were slow, dear or failed? A trace id leads to what happened.",
        variables(chosen), (_SPREAD, _LISTS, _ERRORS),
    )  # fmt: skip
