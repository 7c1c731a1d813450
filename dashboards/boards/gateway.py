"""Gateway: where do calls go, how often twice, and what do callers see of the engines?"""

from otel_llm.conventions import Metrics
from otel_llm.dashboards.grafana.board import Board, Row
from otel_llm.dashboards.grafana.fields import GREEN, RED, Column
from otel_llm.dashboards.grafana.panels import About, Panel
from otel_llm.dashboards.links import to_board
from otel_llm.dashboards.queries import promql, sql
from otel_llm.dashboards.variables import variables

_CALLS, _ATTEMPTS = "`llm_gateway_calls`", "`llm_attempts`"
_REQUESTS = to_board("requests", "Calls one by one", ("model", "tenant"))
_ENGINE = to_board("engine", "Engines", ("model", "tenant"))

_WAY = Row("Where calls go", (
    Panel(
        "The way of calls", "nodeGraph",
        (sql.table("graph_nodes", limit=200), sql.table("graph_edges", limit=500)),
        About("Gateways, upstreams and engine services. Rings show good and bad; edges how many "
              "took that way.", f"{_ATTEMPTS}, `llm_requests`",
              "A red ring on one upstream alone: its engine. On all: the gateway or the load."),
        width=9, height=11, links=(_REQUESTS,),
    ),
    Panel(
        "Upstreams", "table",
        (sql.table("upstreams", "upstream, attempts, retries, failed, cancelled, failed_ratio, "
                   "breaker_not_closed, backoff_s, first_byte_p50_s, first_byte_p95_s", limit=50),),
        About("Tries by upstream: how many, how many were retries, how many failed.", _ATTEMPTS,
              "Many tries with the breaker not closed: it opens and closes, its pause is short."),
        width=15, height=11,
        columns=(Column("failed_ratio", "percentunit"), Column("backoff_s", "s"),
                 Column("first_byte_p50_s", "s"), Column("first_byte_p95_s", "s")),
        links=(_ENGINE,),
    ),
    Panel(
        "Balance", "timeseries", (promql.rate(Metrics.ATTEMPTS, "upstream"),),
        About("Tries per second by upstream.", f"`{Metrics.ATTEMPTS.name}`",
              "One far below the others: its breaker is open, or its engine is slow to answer."),
        unit="reqps", stacked=True, links=(_ENGINE,),
    ),
    Panel(
        "Routes", "timeseries", (sql.series("callers", "part, calls_per_s", by="route"),),
        About("Calls per second by route.", _CALLS,
              "An unknown route: somebody calls what is not served."),
        unit="reqps", stacked=True, name="${__field.labels.part}", links=(_REQUESTS,),
    ),
    Panel(
        "Answers", "timeseries", (sql.series("callers", "part, calls_per_s", by="status"),),
        About("Calls per second by HTTP status; `none` where callers went before one.", _CALLS,
              "429 and 503: too little room. 5xx: upstreams. 4xx: callers."),
        unit="reqps", stacked=True, name="${__field.labels.part}", links=(_REQUESTS,),
    ),
))  # fmt: skip

_RETRIES = Row("How often twice", (
    Panel(
        "Failed tries", "timeseries",
        (promql.rate(Metrics.ATTEMPTS, "upstream", "error_class", outcome="failed"),),
        About("Tries per second that failed, by upstream and error class.",
              f"`{Metrics.ATTEMPTS.name}`",
              "Retries hide these from callers until they do not: see attempts per call."),
        unit="reqps", links=(_REQUESTS,),
    ),
    Panel(
        "Attempts per call", "timeseries",
        (sql.series("callers", "attempts_per_call", by="all"),),
        About("Tries per call; 1 without retries, below it where calls are shed.", _CALLS,
              "Rising with the load: retries make it worse. Give up earlier."),
        decimals=2, links=(_REQUESTS,),
    ),
    Panel(
        "Breakers", "state-timeline",
        (promql.value(Metrics.BREAKER_OPEN, "upstream", how="max"),),
        About("Each upstream's circuit breaker.", f"`{Metrics.BREAKER_OPEN.name}`",
              "Open: the upstream failed often. It gets no calls until a try succeeds."),
        states=(("0", "closed", GREEN), ("1", "open", RED)), links=(_ENGINE,),
    ),
))  # fmt: skip

_BOTH = Row("Callers' and engines' view", (
    Panel(
        "First token from both ends", "timeseries",
        (sql.series("seen_twice", "caller_p50_s, caller_p95_s, engine_p50_s, engine_p95_s"),),
        About("TTFT of the same calls as the caller saw it and as the engine did.",
              f"{_CALLS}, `llm_requests`",
              "Apart: time goes into the gateway, retries or the network. Together: the engine."),
        unit="s", width=12, links=(_ENGINE,),
    ),
    Panel(
        "What lies between", "timeseries",
        (sql.series("seen_twice", "between_p50_s, between_p95_s"),),
        About("TTFT_caller less TTFT_engine: gateway, earlier tries, network.",
              f"{_CALLS}, `llm_requests`",
              "Large p95 at a small p50: calls that were tried again."),
        unit="s", width=12, links=(_REQUESTS,),
    ),
    Panel(
        "First token from the metrics", "timeseries",
        (promql.quantile(0.95, Metrics.TTFT_CALLER, legend="callers p95"),
         promql.quantile(0.95, Metrics.SERVER_TTFT, legend="engines p95")),
        About("The same from the metrics, with exemplars.",
              f"`{Metrics.TTFT_CALLER.name}`, `{Metrics.SERVER_TTFT.name}`",
              "It should tell what the panel above tells; if not, facts or metrics are lost: see "
              "Stack health."),
        unit="s", width=12, links=(to_board("stack", "Stack health", ()),),
    ),
    Panel(
        "Values refused", "timeseries", (promql.rate(Metrics.REFUSED_VALUES, "what"),),
        About("Values per second that the gateway could not read.",
              f"`{Metrics.REFUSED_VALUES.name}`",
              "`traceparent`: a caller sends broken trace contexts. `usage`: an upstream's answers "
              "changed."),
        width=12, links=(_REQUESTS,),
    ),
))  # fmt: skip


def board() -> Board:
    """The board."""
    chosen = ("clickhouse", "prometheus", "model", "tenant", "service")
    return Board(
        "gateway", "Gateway",
        "Where do calls go, how often twice, and what do callers see of the engines?",
        variables(chosen), (_WAY, _RETRIES, _BOTH),
    )  # fmt: skip
