"""Energy and cost: where do the joules go, and what do they cost?"""

from otel_llm.conventions import Metrics
from otel_llm.dashboards.grafana.board import Board, Row
from otel_llm.dashboards.grafana.fields import AMBER, GREEN, GREY, Column, Limits
from otel_llm.dashboards.grafana.panels import About, Panel
from otel_llm.dashboards.links import to_board
from otel_llm.dashboards.queries import promql, sql
from otel_llm.dashboards.variables import variables

_LEDGER, _CHARGED = "`gpu_energy_ledger`", "`llm_request_energy`"
_SETTLED_S = 30
"""By then most requests of a window have ended, and their rows are in the store."""
_EVERY = 1_000_000_000
"""No limit: a sum is of all rows."""
_REQUESTS = to_board("requests", "The most expensive calls", ("model", "tenant"))

_TOTALS = Row("In sum", (
    Panel(
        "Drawn", "stat", (sql.table("ledger", "kwh"),),
        About("Energy that the devices drew in this time, in kWh.", _LEDGER,
              "None: no agent meters a device here, see `otel-llm devices`."),
        unit="kwatth", width=4, height=5, decimals=3,
    ),
    Panel(
        "Money", "stat", (sql.table("ledger", f"kwh * {sql.number('price')} AS cost"),),
        About("All energy drawn, at the price chosen above.", _LEDGER,
              "The price is yours to set: it is no measurement."),
        unit="currencyUSD", width=4, height=5, decimals=4,
    ),
    Panel(
        "Carbon", "stat", (sql.table("ledger", f"kwh * {sql.number('carbon')} AS grams"),),
        About("All energy drawn, times the carbon intensity chosen above.", _LEDGER,
              "The intensity is yours to set; grids change by the hour."),
        unit="massg", width=4, height=5, decimals=1,
    ),
    Panel(
        "Idle share", "stat", (sql.table("ledger", "idle_ratio"),),
        About("Share of the energy that was drawn while no step was on the device.", _LEDGER,
              "High: fewer engines would do, or traffic should be spread less."),
        unit="percentunit", width=4, height=5, decimals=0, limits=Limits(0.3, 0.6),
        links=(to_board("engine", "Do engines have work?", ("model", "tenant")),),
    ),
    Panel(
        "Residual", "stat",
        (sql.table("energy_windows",
                   "sum(abs(residual_mj)) / nullIf(sum(attributed_mj), 0) AS residual_ratio",
                   where=f"ended_ns < {sql.before_end(_SETTLED_S)}", last_s=900, limit=_EVERY),),
        About("How far the ledger and the rows of requests and steps, read back, differ: window "
              "by window, as a part of what is attributed. Of the last 15 minutes of this time, "
              f"but for its last {_SETTLED_S} s.", f"{_LEDGER}, {_CHARGED}, `llm_step_energy`",
              "A little: requests still open hold it. Else rows are lost or doubled: "
              "`otel-llm energy --windows` tells which."),
        unit="percentunit", width=4, height=5, decimals=2, limits=Limits(0.01, 0.05),
    ),
    Panel(
        "Energy per output token", "stat", (sql.table("energy_parts", "j_per_token", by="all"),),
        About("Joules charged to requests per output token.", _CHARGED,
              "Rising: smaller batches, longer prompts, clocks held down."),
        unit="joule", width=4, height=5, decimals=2, links=(_REQUESTS,),
    ),
))  # fmt: skip

_SHARES = Row("Where it goes", (
    Panel(
        "Where power goes", "timeseries",
        (sql.series("ledger", "attributed_w, idle_w, unattributed_w"),),
        About("Power that requests are charged with, that idles, and that is nobody's: warm-up, "
              "processes without a journal, lost steps.", _LEDGER,
              "Much unattributed: something works on the devices that we do not see."),
        unit="watt", stacked=True, width=12,
        columns=(Column("attributed_w", color=GREEN), Column("idle_w", color=GREY),
                 Column("unattributed_w", color=AMBER)),
    ),
    Panel(
        "Power by phase", "timeseries",
        (sql.series("energy_parts", "prefill_w, decode_w", by="all"),),
        About("Power charged to requests that ended then, by phase.", _CHARGED,
              "Prefill growing: longer prompts, or fewer hits in the prefix cache."),
        unit="watt", stacked=True, width=12,
        links=(to_board("engine", "Prefill and decode", ("model", "tenant")),),
    ),
    Panel(
        "By tenant", "table",
        (sql.table("energy_parts", f"part AS tenant, energy_j, j_per_request, j_per_token, kwh, "
                   f"kwh * {sql.number('price')} AS cost, kwh * {sql.number('carbon')} AS grams",
                   by="tenant", limit=50),),
        About("What each tenant's requests took.", _CHARGED,
              "High joules per token for one: long prompts, or it is served alone."),
        width=12, height=6,
        columns=(Column("energy_j", "joule"), Column("j_per_request", "joule"),
                 Column("j_per_token", "joule"), Column("kwh", "kwatth"),
                 Column("cost", "currencyUSD"), Column("grams", "massg")),
        links=(_REQUESTS,),
    ),
    Panel(
        "By model", "table",
        (sql.table("energy_parts", f"part AS model, energy_j, prefill_j, decode_j, j_per_token, "
                   f"kwh * {sql.number('price')} AS cost", by="model", limit=50),),
        About("What each model took, by phase.", _CHARGED,
              "Compare joules per token before choosing the larger model."),
        width=12, height=6,
        columns=(Column("energy_j", "joule"), Column("prefill_j", "joule"),
                 Column("decode_j", "joule"), Column("j_per_token", "joule"),
                 Column("cost", "currencyUSD")),
        links=(_REQUESTS,),
    ),
    Panel(
        "On devices of other nodes", "table",
        (sql.table("energy_elsewhere", "tenant, model, "
                   "(prefill_mj + decode_mj) / 1000 AS energy_j, "
                   "prefill_mj / 1000 AS prefill_j, decode_mj / 1000 AS decode_j, "
                   "error_mj / 1000 AS error_j, devices",
                   limit=50, by=("tenant", "model"), traces=()),),
        About("What requests took on devices of other nodes than their engine's, joined step by "
              "step. It is not in the other panels: add it to theirs.",
              "`llm_step_energy`, `llm_steps`, `llm_requests`",
              "Empty although engines have workers on several nodes: no agent on the other nodes, "
              "or their workers tell no times of steps. `otel-llm energy` has all nodes together."),
        width=12, height=6,
        columns=(Column("energy_j", "joule"), Column("prefill_j", "joule"),
                 Column("decode_j", "joule"), Column("error_j", "joule")),
        links=(_REQUESTS,),
    ),
    Panel(
        "Energy per token by batch size", "bargauge",
        (sql.table("energy_batches", "concat('from ', toString(batch_from)) AS batch, j_per_token",
                   limit=20),),
        About("Joules per output token of requests by the mean batch they were served in. In a "
              "long time the batch is taken from every n-th step.",
              f"{_CHARGED}, `llm_steps`, `llm_requests`",
              "It should fall as batches grow. If not, steps are bound by something else."),
        unit="joule", width=12,
        links=(to_board("engine", "Batch sizes", ("model", "tenant")),),
    ),
    Panel(
        "Energy per token by batch, live", "timeseries",
        (promql.quantile(0.5, Metrics.ENERGY_PER_TOKEN, "batch_size",
                         legend="from {{batch_size}}"),),
        About("Median joules in decode per output token, by the batch a request was mostly in.",
              f"`{Metrics.ENERGY_PER_TOKEN.name}`",
              "Lines that cross: larger batches no longer pay."),
        unit="joule", width=12, links=(to_board("engine", "Batch sizes"),),
    ),
    Panel(
        "Charged to tenants", "timeseries", (promql.rate(Metrics.ENERGY, "tenant"),),
        About("Joules per second charged to requests as they end, by tenant.",
              f"`{Metrics.ENERGY.name}`", "One tenant with most: see its calls."),
        unit="watt", stacked=True, width=12, links=(_REQUESTS,),
    ),
    Panel(
        "Power of devices", "timeseries",
        (promql.value(Metrics.HW_POWER, "hw_name", "hw_id", legend="{{hw_id}}"),),
        About("What each device draws, as its meter says.", f"`{Metrics.HW_POWER.name}`",
              "The ledger adds up to this over time; a gap between them is a device not metered."),
        unit="watt", low=0, width=12, links=(to_board("gpu", "Devices", ()),),
    ),
))  # fmt: skip


def board() -> Board:
    """The board."""
    chosen = ("clickhouse", "prometheus", "model", "tenant", "service", "price", "carbon")
    return Board(
        "energy", "Energy and cost",
        "Where do the joules go, and what do they cost?",
        variables(chosen), (_TOTALS, _SHARES),
    )  # fmt: skip
