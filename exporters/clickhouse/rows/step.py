"""Steps of an engine as rows, their batches as arrays."""

from otel_llm.exporters.clickhouse.rows.common import (
    Row,
    clock_columns,
    engine_columns,
    wall_or_none,
)
from otel_llm.facts.joined import JoinedStep


def step_row(fact: JoinedStep) -> Row:
    """A row of `llm_steps`."""
    scheduled, done, anchor = fact.scheduled, fact.done, fact.anchor
    prefill_tokens, decode_tokens = fact.tokens_by_phase
    return {
        **engine_columns(fact.producer, ""),
        "seq": scheduled.seq,
        "status": fact.status,
        "scheduled": anchor.wall(scheduled.schedule_ns),
        "result": wall_or_none(anchor, done.result_ns if done else None),
        "execute_ns": done.execute_ns if done else None,
        "running": scheduled.running,
        "waiting": scheduled.waiting,
        "kv_used": scheduled.kv_used,
        "kv_total": scheduled.kv_total,
        "prefill_tokens": prefill_tokens,
        "decode_tokens": decode_tokens,
        "request_index": scheduled.request_index,
        "phase": list(scheduled.phase),
        "tokens": scheduled.tokens,
        "context": scheduled.context,
        "emitted": done.emitted if done else [],
        "drafts": scheduled.drafts,
        "accepted": done.accepted if done else [],
        "cudagraph_mode": done.cudagraph_mode if done else "",
        "trace_id": fact.trace.trace_id if fact.trace else "",
        "span_id": fact.trace.span_id if fact.trace else "",
        **clock_columns(fact.producer.boot_id, anchor),
    }
