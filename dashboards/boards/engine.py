"""Engine and batching: do requests wait, and what are steps made of?"""

from otel_llm.conventions import Metrics
from otel_llm.dashboards.grafana.board import Board, Row
from otel_llm.dashboards.grafana.fields import GREEN, RED, Column, Limits
from otel_llm.dashboards.grafana.panels import About, Panel
from otel_llm.dashboards.links import to_board
from otel_llm.dashboards.queries import promql, sql
from otel_llm.dashboards.variables import variables

_STEPS = "`llm_steps`"
_BY_SERVICE = "${__field.name} ${__field.labels.service}"
_GPU = to_board("gpu", "What the devices did")
_REQUESTS = to_board("requests", "Calls one by one")

_PRESSURE = Row("Do requests wait?", (
    Panel(
        "Running and waiting", "timeseries",
        (sql.series("step_work", "service, running_mean, waiting_mean"),),
        About("Requests in the batch and in the queue when steps were scheduled, mean.", _STEPS,
              "Waiting above running: too little capacity, or too small a batch limit."),
        name=_BY_SERVICE, links=(_REQUESTS,),
    ),
    Panel(
        "Queue time", "timeseries",
        (promql.quantile(0.5, Metrics.QUEUE_TIME), promql.quantile(0.95, Metrics.QUEUE_TIME),
         promql.quantile(0.99, Metrics.QUEUE_TIME)),
        About("From entering the queue to the first step.", f"`{Metrics.QUEUE_TIME.name}`",
              "Most of a slow first token is usually here. Add engines or shed earlier."),
        unit="s", links=(_REQUESTS,),
    ),
    Panel(
        "KV cache in use", "timeseries", (sql.series("step_work", "service, kv_ratio"),),
        About("Share of KV-cache blocks in use.", _STEPS,
              "Near 1: new requests wait and running ones are preempted. Shorter contexts, more "
              "memory, or a smaller batch."),
        unit="percentunit", low=0, high=1, limits=Limits(0.8, 0.95),
        name="${__field.labels.service}", links=(_REQUESTS,),
    ),
    Panel(
        "Preemptions", "table",
        (sql.table("preemptions", "service, model, requests, preempted, preemptions, "
                   "recomputed_tokens, recomputed_ratio", limit=20),),
        About("Requests that lost their place in the batch, and tokens computed again for it.",
              "`llm_requests`", "Any at all: the KV cache is too small for the batch."),
        width=12, height=6, columns=(Column("recomputed_ratio", "percentunit"),),
        links=(_REQUESTS,),
    ),
    Panel(
        "Prefix cache", "timeseries",
        (sql.series("cache", "tenant, hit_ratio"),),
        About("Share of prompt tokens served from the prefix cache, by tenant.", "`llm_requests`",
              "Falling: prompts no longer begin alike, or the cache is evicted under pressure."),
        unit="percentunit", low=0, high=1, width=12, height=6, name="${__field.labels.tenant}",
        links=(_REQUESTS,),
    ),
    Panel(
        "Stages of requests", "table",
        (sql.table("stages", "service, model, requests, queue_p50_s, queue_p95_s, prefill_p50_s, "
                   "prefill_p95_s, ttft_p50_s, ttft_p95_s, tpot_p50_s, tpot_p95_s", limit=20),),
        About("Where finished requests spent their time.", "`llm_requests`",
              "The stage with the largest p95 is where to look."),
        unit="s", width=24, height=6, columns=(Column("requests", "short"),), links=(_REQUESTS,),
    ),
))  # fmt: skip

_BATCHES = Row("What are steps made of?", (
    Panel(
        "Tokens per step", "timeseries",
        (sql.series("step_work", "service, prefill_per_step, decode_per_step"),),
        About("Tokens of a step by phase, mean.", _STEPS,
              "Prefill far above decode: prompts crowd out answers, and ITL stalls. Chunk prefills "
              "smaller."),
        name=_BY_SERVICE, links=(_GPU,),
    ),
    Panel(
        "Batch size", "timeseries", (sql.series("step_work", "service, batch_mean, batch_max"),),
        About("Requests per step, mean and largest.", _STEPS,
              "At its limit while requests wait: raise the limit. Small without a queue: little "
              "traffic, and joules per token are high."),
        name=_BY_SERVICE, links=(to_board("energy", "What batching saves", ("model", "tenant")),),
    ),
    Panel(
        "Step time", "timeseries", (sql.series("step_work", "service, step_p50_s, step_p95_s"),),
        About("From scheduling a step to its result.", _STEPS,
              "Rising at the same tokens: the device is slower (clocks, throttling) or shared."),
        unit="s", name=_BY_SERVICE, links=(_GPU,),
    ),
    Panel(
        "Step time against tokens", "xychart",
        (sql.table("step_points", "tokens, decode_only_s, with_prefill_s", limit=2000),),
        About("A sample of steps: how long each took for how many tokens, without prefill and with "
              "it.", _STEPS,
              "Points far above the cloud are stalls, not work: see idle gaps on the GPU board."),
        unit="s", height=9, columns=(Column("tokens", "short"),), links=(_GPU,),
    ),
    Panel(
        "Spread of step time", "heatmap", (promql.buckets(Metrics.STEP_DURATION),),
        About("How many steps took how long. Exemplars lead to traces.",
              f"`{Metrics.STEP_DURATION.name}`",
              "A second band: steps with prefill in them. A band that moves: the device."),
        unit="s", height=9, links=(_GPU,),
    ),
    Panel(
        "Speculation", "timeseries",
        (promql.rate(Metrics.DRAFT_TOKENS, "service_name", "type"),),
        About("Speculative tokens per second, proposed and accepted.",
              f"`{Metrics.DRAFT_TOKENS.name}`",
              "Few accepted of many proposed: speculation costs more than it saves. Empty: it is "
              "off."),
        unit="suffix: tok/s", height=9, links=(_GPU,),
    ),
))  # fmt: skip

_LIFE = Row("Do the engines live?", (
    Panel(
        "Engines", "state-timeline",
        (promql.value(Metrics.ENGINE_UP, "service_name", "instance_id", how="max",
                      legend="{{service_name}}"),),
        About("Each engine while it holds its journal.", f"`{Metrics.ENGINE_UP.name}`",
              "Dead: what was in flight is in the table beside. `otel-llm trace` shows such calls "
              "as engine_died."),
        width=12, height=6, states=(("1", "up", GREEN), ("0", "dead", RED)),
    ),
    Panel(
        "Births and deaths", "table",
        (sql.table("life", "fromUnixTimestamp64Nano(start_ns) AS time, kind, service, event, host, "
                   "requests_in_flight, steps_in_flight, lost_records", limit=50),),
        About("Processes that began, stopped or died, and what they left.", "`llm_engine_events`",
              "`died` with requests in flight: those calls failed or were tried again."),
        width=12, height=6, columns=(Column("time", width=190),), links=(_REQUESTS,),
    ),
))  # fmt: skip


def board() -> Board:
    """The board."""
    chosen = ("clickhouse", "prometheus", "model", "tenant", "service")
    return Board(
        "engine", "Engine and batching",
        "Do requests wait, and what are steps made of?",
        variables(chosen), (_PRESSURE, _BATCHES, _LIFE),
    )  # fmt: skip
