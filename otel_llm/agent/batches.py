"""Joined facts to batches: one block of rows per table, and spans."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan

from otel_llm.agent.kernel_sums import kernel_sums
from otel_llm.agent.spool import Batch, Ended
from otel_llm.conventions import Tables
from otel_llm.exporters.clickhouse.rows import Block, encode_blocks
from otel_llm.facts.joined import Joined, JoinedKernels, JoinedRequest, JoinedStep
from otel_llm.spans.otlp import encode, spans_of

SPANS_PER_BATCH = 2_000


def make_batches(facts: Sequence[Joined], boot_id: str) -> list[Batch]:
    """Encode joined facts for every sink.

    Args:
        facts: in the order in which they were joined.
        boot_id: this host's boot; only ends stamped in it can be compared with our clock.
    """
    rows = [_rows(block, facts, boot_id) for block in encode_blocks([*facts, *kernel_sums(facts)])]
    spans = [span for fact in facts for span in spans_of(fact)]
    return [
        *rows,
        *(
            _spans(spans[start : start + SPANS_PER_BATCH])
            for start in range(0, len(spans), SPANS_PER_BATCH)
        ),
    ]


def weight(fact: Joined) -> int:
    """About how many rows' worth of memory a fact takes."""
    if isinstance(fact, JoinedKernels):
        return 1 + len(fact.kernels.name_index)
    if isinstance(fact, JoinedStep):
        return 1 + len(fact.scheduled.request_index)
    return 1


def _rows(block: Block, facts: Sequence[Joined], boot_id: str) -> Batch:
    ended = Ended()
    if block.table is Tables.REQUESTS:
        requests = (fact for fact in facts if isinstance(fact, JoinedRequest))
        stamps = [
            fact.finished.finished_ns for fact in requests if fact.producer.boot_id == boot_id
        ]
        ended = Ended(boot_id, stamps)
    return Batch("clickhouse", block.table.name, block.rows, block.body, ended)


def _spans(spans: Sequence[ReadableSpan]) -> Batch:
    return Batch("otlp", "traces", len(spans), encode(spans))
