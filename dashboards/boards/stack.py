"""Stack health: may the other boards be believed?"""

from otel_llm.conventions import Metric, Metrics
from otel_llm.dashboards.grafana.board import Board, Row
from otel_llm.dashboards.grafana.fields import Column, Limits
from otel_llm.dashboards.grafana.panels import About, Panel
from otel_llm.dashboards.links import to_board
from otel_llm.dashboards.queries import promql, sql
from otel_llm.dashboards.variables import variables

_ANY = Limits(1, 1)
_ENGINE = to_board("engine", "Engines", ())


def _count(title: str, metric: Metric, means: str, wrong: str) -> Panel:
    about = About(means, f"`{metric.name}`", wrong)
    query = promql.increase(metric)
    return Panel(title, "stat", (query,), about, width=4, height=4, limits=_ANY, decimals=0)


def _growth(title: str, metric: Metric, by: str, means: str, wrong: str) -> Panel:
    about = About(means, f"`{metric.name}`", wrong)
    return Panel(title, "timeseries", (promql.rate(metric, by),), about)


_LOSSES = Row("What was lost", (
    _count("Facts lost", Metrics.LOST_RECORDS,
           "Facts lost in this time, for any reason. At 0 all accounts are exact.",
           "See the reasons below. `overwritten`: the agent fell behind, enlarge the journal."),
    _count("Errors swallowed", Metrics.SWALLOWED,
           "Errors that hooks kept from their engine.",
           "Each is a defect of ours: `otel-llm doctor` shows where."),
    _count("Deaths", Metrics.ENGINE_DEATHS, "Engines that went without closing their journal.",
           "See births and deaths on the Engine board."),
    _count("OTLP requests refused", Metrics.OTLP_REFUSED, "OTLP requests that were turned away.",
           "`busy`: the spool is slow. `unauthenticated`: a sender lacks the token."),
    _count("Rows set aside", Metrics.OTLP_QUARANTINED,
           "Rows that could not be stored and wait in quarantine.",
           "`otel-llm replay` stores them again once the cause is mended."),
    _count("Delivery failures", Metrics.DELIVERY_FAILURES,
           "Failed tries of the agent to deliver. Each is tried again.",
           "Going on: the store is down or refuses; the agent's spool grows."),
    _growth("Facts lost by reason", Metrics.LOST_RECORDS, "reason",
            "Facts lost per second, by reason.",
            "Each reason is explained in docs/metrics.md."),
    _growth("Values refused by the agent", Metrics.MALFORMED, "what",
            "Values per second that the agent refused.",
            "`journal`: a writer of another version. `trace`: broken contexts from callers."),
    Panel(
        "Hooks left out", "timeseries", (promql.value(Metrics.LEFT_OUT, "service_name"),),
        About("Hooks that are not in place in an engine.", f"`{Metrics.LEFT_OUT.name}`",
              "Above 0: an engine of an unknown version, or settings that leave them out; "
              "`otel-llm doctor` says which."),
        links=(_ENGINE,),
    ),
))  # fmt: skip

_LAG = Row("How far behind", (
    Panel(
        "From the end to the row", "timeseries",
        (promql.quantile(0.5, Metrics.FINISH_TO_ROW), promql.quantile(0.95, Metrics.FINISH_TO_ROW)),
        About("From a request's end to its row being acknowledged. 3 s of it are held on purpose.",
              f"`{Metrics.FINISH_TO_ROW.name}`", "Above 5 s: the store is slow, or the agent is."),
        unit="s", limits=Limits(5, 10),
    ),
    Panel(
        "The same as the store saw it", "timeseries",
        (sql.series("lag", "lag_p50_s, lag_p95_s"),),
        About("From a request's end to the moment its row was stored.", "`llm_requests`",
              "Far above the panel beside: the clocks of agent and store differ."),
        unit="s",
    ),
    Panel(
        "Waiting to be delivered", "timeseries",
        (promql.value(Metrics.SPOOL_BYTES, "sink", legend="agent {{sink}}"),
         promql.value(Metrics.OTLP_SPOOL_BYTES, legend="OTLP")),
        About("Bytes that wait in the spools.",
              f"`{Metrics.SPOOL_BYTES.name}`, `{Metrics.OTLP_SPOOL_BYTES.name}`",
              "Growing: the store is away. When the bound is reached, facts are lost and counted."),
        unit="bytes",
    ),
    Panel(
        "Delivered", "timeseries", (promql.rate(Metrics.DELIVERED, "sink"),),
        About("Rows and spans per second that the agent delivered.", f"`{Metrics.DELIVERED.name}`",
              "0 under load: see delivery failures."),
    ),
    Panel(
        "Facts read", "timeseries", (promql.rate(Metrics.RECORDS, "kind"),),
        About("Journal records per second that the agent read, by kind.",
              f"`{Metrics.RECORDS.name}`", "0 under load: no journal is found, or hooks are off."),
        links=(_ENGINE,),
    ),
    Panel(
        "OTLP stored", "timeseries", (promql.rate(Metrics.OTLP_ROWS, "table"),),
        About("Rows of OTLP requests stored per second.", f"`{Metrics.OTLP_ROWS.name}`",
              "0 while requests come: see rows set aside and the spool."),
    ),
))  # fmt: skip

_COST = Row("What it costs", (
    Panel(
        "Cost of kernel tracing", "timeseries",
        (promql.value(Metrics.KERNEL_COST, how="max", legend="the greatest"),),
        About("Share of one core's time that the CUPTI shim took; of several, the greatest.",
              f"`{Metrics.KERNEL_COST.name}`",
              "Above the budget the shim thins out what it keeps, and says so below."),
        unit="percentunit", links=(to_board("gpu", "Kernels", ()),),
    ),
    Panel(
        "Kernels not recorded", "timeseries",
        (promql.rate(Metrics.KERNEL_LOST, "reason", legend="lost {{reason}}"),
         promql.rate(Metrics.KERNEL_THINNED, "what", legend="thinned {{what}}")),
        About("Kernels per second that were lost or thinned out.",
              f"`{Metrics.KERNEL_LOST.name}`, `{Metrics.KERNEL_THINNED.name}`",
              "`dropped_by_cupti`: too few buffers. Sums by class stay whole when thinned."),
        links=(to_board("gpu", "Kernels", ()),),
    ),
    Panel(
        "Windows of energy", "timeseries", (promql.rate(Metrics.ENERGY_WINDOWS, "state"),),
        About("Windows of the energy ledger closed per second, whole or incomplete.",
              f"`{Metrics.ENERGY_WINDOWS.name}`",
              "Incomplete ones: steps or readings were lost; their joules are unattributed."),
        links=(to_board("energy", "Energy", ()),),
    ),
    Panel(
        "Storage by table", "table", (sql.table("storage", limit=100),),
        About("What each table takes of the disk.", "`system.parts`",
              "A table that outgrows the others: shorten its retention (`otel-llm schema apply`)."),
        width=12, columns=(Column("bytes_on_disk", "bytes"),), decimals=1,
    ),
    Panel(
        "Time spent on reading devices", "timeseries",
        (promql.rate(Metrics.DEVICE_CALL_SECONDS, "source"),),
        About("Seconds per second in calls that read devices.",
              f"`{Metrics.DEVICE_CALL_SECONDS.name}`",
              "Near the sampling interval: the driver is slow, rounds will be missed."),
        unit="s", width=6, links=(to_board("gpu", "Devices", ()),),
    ),
    Panel(
        "Device rounds missed", "timeseries", (promql.rate(Metrics.DEVICE_MISSED, "source"),),
        About("Rounds of readings per second left out, as the one before took too long.",
              f"`{Metrics.DEVICE_MISSED.name}`",
              "Above 0: energy windows get longer and their error bound wider."),
        width=6, links=(to_board("gpu", "Devices", ()),),
    ),
    Panel(
        "Requests with facts lost", "timeseries", (sql.series("lag", "requests, incomplete"),),
        About("Requests, and of these such with facts lost.", "`llm_requests`",
              "Their figures are lower bounds. The reasons are above."),
        width=12, links=(to_board("requests", "Calls one by one", ()),),
    ),
    Panel(
        "Requests without their other half", "timeseries",
        (promql.rate(Metrics.UNPAIRED, "service_name", "half"),),
        About("Requests per second of which only the core or only the API server told.",
              f"`{Metrics.UNPAIRED.name}`", "Hooks are missing in one process of the engine."),
        width=12, links=(_ENGINE,),
    ),
))  # fmt: skip


def board() -> Board:
    """The board."""
    return Board(
        "stack", "Stack health",
        "May the other boards be believed? What was lost, how far behind, and what it costs.",
        variables(("clickhouse", "prometheus", "service")), (_LOSSES, _LAG, _COST),
    )  # fmt: skip
