"""Trace: what happened to one call, from the gateway to the kernels?"""

from otel_llm.dashboards.grafana.board import Board, Row
from otel_llm.dashboards.grafana.fields import Column
from otel_llm.dashboards.grafana.panels import About, Panel
from otel_llm.dashboards.links import to_board
from otel_llm.dashboards.queries import sql
from otel_llm.dashboards.variables import variables

_ALL = "`llm_gateway_calls`, `llm_requests`"
_SINCE = "(start_ns - min(start_ns) OVER ()) / 1e9 AS at_s"
"""Not the time itself: the board's range, an hour perhaps, would be the axis of two seconds."""
_NONE = "Empty: the id is not whole, or older than the store keeps rows."


def _fact(title: str, column: str, means: str, wrong: str, **shown: object) -> Panel:
    about = About(means, _ALL, wrong)
    query = sql.table("trace_facts", column)
    return Panel(title, "stat", (query,), about, width=4, height=4, **shown)  # type: ignore[arg-type]


_FACTS = Row("In numbers", (
    _fact("Took", "took_s", "From receiving the call to its last byte.", _NONE, unit="s"),
    _fact("TTFT_caller", "ttft_s", "From receiving the call to its first content chunk.",
          "None: no content was sent. Long: see queue and prefill below.", unit="s"),
    _fact("Output tokens", "output_tokens", "Tokens that the engine's requests generated.",
          "0: it ended before the first token."),
    _fact("Speed", "tokens_per_s", "Output tokens per second of the whole call.",
          "Low with a short decode: it waited. Low with a long one: large batches, a slow device.",
          unit="suffix: tok/s", decimals=1),
    _fact("Attempts", "attempts", "Tries at an upstream.",
          "More than one: see the spans of the failed attempts."),
    Panel(
        "Energy", "stat", (sql.table("trace_facts", "energy_j"),),
        About("Joules charged to this trace's requests.", "`llm_request_energy`",
              "None: the agent did not meter the device, or the window is not closed yet."),
        unit="joule", width=4, height=4, decimals=1,
        links=(to_board("energy", "Energy and cost", ()),),
    ),
))  # fmt: skip

_WAY = Row("The way it went", (
    Panel(
        "From the call to the kernels", "traces", (sql.trace("trace_view", 300),),
        About("Spans of the gateway and the engines, below them the steps that served the request "
              "and what the device did in each. Steps and kernels are of whole batches; the first "
              "300 steps are shown.", "`otel_traces`, `llm_steps`, `llm_step_kernels`",
              "Empty: the trace was not sampled at its caller; the numbers above hold all the "
              "same."),
        width=24, height=16,
    ),
))  # fmt: skip

_STEPS = Row("What served it", (
    Panel(
        "Time by part", "bargauge", (sql.table("trace_parts", "part, took_s", limit=15),),
        About("Time of the trace's spans by name. They lie inside each other and do not add up.",
              "`otel_traces`", "The longest of queue, prefill and decode is where to look."),
        unit="s",
    ),
    Panel(
        "Its steps", "xychart",
        (sql.table("trace_steps", f"{_SINCE}, batch, waiting, own_tokens", limit=5000),),
        About("Every step that served it: requests in the batch, requests that waited, and its own "
              "tokens.", "`llm_steps`",
              "Gaps: it was preempted. A high batch: it shared the device with many."),
        unit="short", columns=(Column("at_s", "s"),),
        links=(to_board("engine", "Engines at that time", ()),),
    ),
    Panel(
        "Time of its steps", "xychart",
        (sql.table("trace_steps", f"{_SINCE}, took_s", limit=5000),),
        About("How long each step that served it took.", "`llm_steps`",
              "Single long ones: another request's prefill was in the batch."),
        unit="s", columns=(Column("at_s", "s"),), links=(to_board("engine", "Step times", ()),),
    ),
    Panel(
        "Device time by kernel class", "bargauge",
        (sql.table("trace_kernels", "kind, took_s", limit=15),),
        About("Kernel time in its steps by class; of the whole batches, others' share included.",
              "`llm_step_kernels`",
              "Much `collective`: a slow link or a straggler. See the GPU board at that time."),
        unit="s", links=(to_board("gpu", "GPUs at that time", ()),),
    ),
    Panel(
        "Energy by device", "table", (sql.table("trace_energy", limit=20),),
        About("Joules charged to it, by device and phase, with the bound of their error.",
              "`llm_request_energy`",
              "A wide bound: the meter's windows were long. `estimate` is no measurement."),
        columns=(Column("prefill_j", "joule"), Column("decode_j", "joule"),
                 Column("error_j", "joule")),
    ),
    Panel(
        "Who shared its steps", "table", (sql.table("trace_company", limit=20),),
        About("Tenants whose requests were in the same steps, in numbers. For operators.",
              "`llm_requests`, `llm_steps`",
              "One tenant with most: whether its long prompts slowed this call shows above."),
        links=(to_board("requests", "Calls at that time", ()),),
    ),
))  # fmt: skip


def board() -> Board:
    """The board."""
    return Board(
        "trace", "Trace",
        "What happened to one call, from the gateway to the kernels, in time and joules?",
        variables(("clickhouse", "prometheus", "trace")), (_FACTS, _WAY, _STEPS),
    )  # fmt: skip
