"""Overview: is the service well, and for whom is it not?"""

from otel_llm.conventions import Metrics
from otel_llm.dashboards.grafana.board import Board, Row
from otel_llm.dashboards.grafana.fields import AMBER, GREEN, GREY, RED, Column, Limits
from otel_llm.dashboards.grafana.panels import About, Panel
from otel_llm.dashboards.links import VALUE, to_board
from otel_llm.dashboards.queries import promql, sql
from otel_llm.dashboards.variables import variables

_CALLS, _REQUESTS = "`llm_gateway_calls`", "`llm_requests`"

_CALLERS = Row("What callers get", (
    Panel(
        "Calls", "stat", (sql.table("callers", "calls_per_s", by="all"),),
        About("API calls per second that reached the gateway.", _CALLS,
              "None at all: look at the gateway's health and at `otel-llm doctor`."),
        unit="reqps", width=4, height=5, links=(to_board("requests", "Calls one by one"),),
    ),
    Panel(
        "Goodput", "stat",
        (sql.table("slo", "sum(good_calls_per_s) AS good_calls_per_s"),),
        About("Calls per second that kept every limit of the objective chosen above.", _CALLS,
              "Compare it with Calls: the rest failed, was shed or was late. The SLO board says "
              "which."),
        unit="reqps", width=4, height=5,
        links=(to_board("slo", "What burned the budget", ("model", "tenant")),),
    ),
    Panel(
        "Good calls", "stat",
        (sql.table("slo", "sum(good) / nullIf(sum(counted), 0) AS good_ratio"),),
        About("Share of calls within the objective. Calls given up in time or asked wrongly do not "
              "count.", _CALLS,
              "Below the target the error budget shrinks: open the SLO board."),
        unit="percentunit", width=4, height=5, limits=Limits(0.99, 0.95), decimals=1,
        links=(to_board("slo", "What burned the budget", ("model", "tenant")),),
    ),
    Panel(
        "Budget left", "stat",
        (sql.table("burn", "argMax(budget_left, start_ns) AS budget_left"),),
        About("Error budget that is left: 1 is all of it, below 0 it is overspent.",
              _CALLS, "Negative: the target is missed in this range. The SLO board says why."),
        unit="percentunit", width=4, height=5, limits=Limits(0.5, 0), decimals=0,
        links=(to_board("slo", "Burn rates", ("model", "tenant")),),
    ),
    Panel(
        "Failed or shed", "stat",
        (sql.table("callers", "sum(failed + shed) / sum(calls) AS ratio", by="all"),),
        About("Share of calls that failed, or that the gateway turned away.", _CALLS,
              "Look at the error classes on the Requests board; shed calls mean too little room."),
        unit="percentunit", width=4, height=5, limits=Limits(0.01, 0.05), decimals=1,
        links=(to_board("requests", "Failed calls"),),
    ),
    Panel(
        "Engines up", "stat", (promql.value(Metrics.ENGINE_UP),),
        About("Engines that hold their journal, so they live.", f"`{Metrics.ENGINE_UP.name}`",
              "Fewer than deployed: see births and deaths on the Engine board."),
        width=4, height=5, links=(to_board("engine", "Engines"),),
    ),
    Panel(
        "TTFT_caller", "timeseries",
        (promql.quantile(0.5, Metrics.TTFT_CALLER), promql.quantile(0.95, Metrics.TTFT_CALLER),
         promql.quantile(0.99, Metrics.TTFT_CALLER)),
        About("From receiving a call to its first content chunk. Diamonds are exemplars: click one "
              "for its trace.", f"`{Metrics.TTFT_CALLER.name}`",
              "Rising while the engines are idle: the gateway. Rising with the queue: too little "
              "capacity, see the Engine board."),
        unit="s", links=(to_board("engine", "Queues and batches"),),
    ),
    Panel(
        "Time between chunks", "timeseries",
        (promql.quantile(0.5, Metrics.INTER_CHUNK), promql.quantile(0.95, Metrics.INTER_CHUNK),
         promql.quantile(0.99, Metrics.INTER_CHUNK)),
        About("Between successive content chunks as callers saw them (ITL).",
              f"`{Metrics.INTER_CHUNK.name}`",
              "A high p99 beside a low p50 is stalls: long prefills in the same batch, "
              "preemptions, or a slow GPU."),
        unit="s", links=(to_board("engine", "Steps"),),
    ),
    Panel(
        "Duration of calls", "timeseries",
        (promql.quantile(0.5, Metrics.CALL_DURATION), promql.quantile(0.95, Metrics.CALL_DURATION),
         promql.quantile(0.99, Metrics.CALL_DURATION)),
        About("From receiving a call to its last byte.", f"`{Metrics.CALL_DURATION.name}`",
              "Longer answers make longer calls: compare with tokens before looking for a fault."),
        unit="s", links=(to_board("requests", "The slowest calls"),),
    ),
))  # fmt: skip

_WORK = Row("What it takes", (
    Panel(
        "How calls ended", "timeseries",
        (sql.series("callers", "part, calls", by="outcome"),),
        About("Calls by outcome, by when they arrived.", _CALLS,
              "`shed`: the gateway was full. `failed`: see the error classes. `cancelled`: callers "
              "gave up, often because they waited."),
        stacked=True, draw="bars", name="${__field.labels.part}",
        columns=(Column("finished", color=GREEN), Column("failed", color=RED),
                 Column("cancelled", color=GREY), Column("shed", color=AMBER)),
        links=(to_board("requests", "Calls one by one"),),
    ),
    Panel(
        "Tokens", "timeseries", (promql.rate(Metrics.TOKENS, "type"),),
        About("Tokens per second of ended requests: prompt, of these cached, output, and what was "
              "computed for nothing.", f"`{Metrics.TOKENS.name}`",
              "Many `recomputed`: preemptions for lack of KV cache. Many `rejected`: speculation "
              "that does not pay."),
        unit="suffix: tok/s", links=(to_board("engine", "Steps"),),
    ),
    Panel(
        "Power", "timeseries", (promql.value(Metrics.HW_POWER, "hw_type"),),
        About("What the devices draw, in watts.", f"`{Metrics.HW_POWER.name}`",
              "High without tokens: idle devices. Compare the energy board's idle share."),
        unit="watt", low=0, links=(to_board("energy", "Energy and cost", ("model", "tenant")),),
    ),
    Panel(
        "Energy per output token", "stat",
        (sql.table("energy_parts", "j_per_token", by="all"),),
        About("Joules charged to requests per output token.", "`llm_request_energy`",
              "Rising: smaller batches, longer prompts, or clocks held down."),
        unit="joule", width=6, height=5, decimals=2,
        links=(to_board("energy", "Energy and cost", ("model", "tenant")),),
    ),
    Panel(
        "Cost of energy", "stat",
        (sql.table("energy_parts", f"kwh * {sql.number('price')} AS cost", by="all"),),
        About("Money for the energy charged to requests, at the price chosen above.",
              "`llm_request_energy`", "Idle and unattributed energy is not in it: see the energy "
              "board."),
        unit="currencyUSD", width=6, height=5, decimals=4,
        links=(to_board("energy", "Energy and cost", ("model", "tenant")),),
    ),
    Panel(
        "Output tokens", "stat",
        (promql.rate(Metrics.TOKENS, type="output"),),
        About("Output tokens per second of ended requests.", f"`{Metrics.TOKENS.name}`",
              "Lower at the same calls: shorter answers, or calls that fail."),
        unit="suffix: tok/s", width=6, height=5, decimals=0,
        links=(to_board("engine", "Engines"),),
    ),
    Panel(
        "Calls open", "stat", (promql.value(Metrics.CALLS_OPEN),),
        About("Calls in flight at the gateway now.", f"`{Metrics.CALLS_OPEN.name}`",
              "Near the gateway's limit it sheds. Rising without end: engines hang."),
        width=6, height=5, links=(to_board("gateway", "Gateway", ("model", "tenant")),),
    ),
))  # fmt: skip

_FLEET = Row("The fleet", (
    Panel(
        "Engines by throughput", "table",
        (sql.table("engines", "service, left(instance_id, 8) AS instance, steps_per_s, "
                   "prefill_tokens_per_s, decode_tokens_per_s, batch_mean, step_p50_s, step_p95_s",
                   limit=20),),
        About("What each engine instance does: steps, tokens, mean batch, time of steps.",
              "`llm_steps`", "One instance far from the others: see its device, its version, and "
              "whether the gateway sends it its share."),
        width=16, unit="short", decimals=2,
        columns=(Column("step_p50_s", "s"),
                 Column("step_p95_s", "s"),
                 Column("service", links=(to_board(
                     "engine", "This engine", ("model", "tenant"),
                     service=VALUE),))),
    ),
    Panel(
        "Use by tenant", "bargauge",
        (sql.table("tenants", "tenant, prompt_tokens + output_tokens AS tokens", limit=12),),
        About("Tokens of prompts and answers by tenant.", _REQUESTS,
              "One tenant with most of it: choose the others above and see whether they wait."),
        links=(to_board("energy", "Energy of tenants", ("model", "tenant")),),
    ),
))  # fmt: skip


def board() -> Board:
    """The board."""
    chosen = ("clickhouse", "prometheus", "model", "tenant", "service", "target", "ttft_s", "itl_s",
              "e2e_s", "price")  # fmt: skip
    return Board(
        "overview", "Overview",
        "Is the service well, and for whom is it not? Every panel leads on.",
        variables(chosen), (_CALLERS, _WORK, _FLEET),
    )  # fmt: skip
