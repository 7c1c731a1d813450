"""Joined facts to batches: one block of rows per table, and spans."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from otel_llm.agent.kernel_sums import has_sums, kernel_sums
from otel_llm.agent.spool import Batch, Ended
from otel_llm.conventions import Tables
from otel_llm.exporters.clickhouse.rows import Block, salvage_blocks
from otel_llm.facts.joined import (
    ByKind,
    Joined,
    JoinedKernels,
    JoinedRequest,
    JoinedStep,
    by_kind,
)
from otel_llm.isolation import Guard, salvage
from otel_llm.spans.common import OurSpan
from otel_llm.spans.otlp import encode, sampled, spans_of

SPANS_PER_BATCH = 2_000
MEMBERS_PER_ROW = 32
"""So many members of a step, numbers in arrays, take about as much memory as a row: a kilobyte."""
_SUMS = Guard("batches.sums")
_spans_of = Guard("batches.spans")(spans_of)


class Made(NamedTuple):
    """What was made of facts.

    Attributes:
        batches: for every sink.
        lost: rows and spans of facts that could not be made, by table; `spans` for spans.
    """

    batches: list[Batch]
    lost: Counter[str]


def make_batches(facts: Sequence[Joined], boot_id: str) -> Made:
    """Encode joined facts for every sink. A fact of which nothing can be made costs itself alone.

    Args:
        facts: in the order in which they were joined.
        boot_id: this host's boot; only ends stamped in it can be compared with our clock.
    """
    kinds = by_kind(facts)
    told = list(filter(has_sums, kinds[JoinedKernels]))
    sums, unsummed = salvage(_SUMS, kernel_sums, told) if told else (None, 0)
    encoded = salvage_blocks(kinds)
    lost = encoded.lost + Counter({Tables.STEP_KERNELS.name: unsummed})
    blocks = [*encoded.blocks, *([sums] if sums else [])]
    rows = [_rows(block, kinds[JoinedRequest], boot_id) for block in blocks]
    spans, left_out = _span_batches(kinds)
    return Made([*rows, *spans], lost + Counter(spans=left_out))


def _span_batches(kinds: ByKind) -> tuple[list[Batch], int]:
    found = list(map(_spans_of, sampled(kinds)))
    spans = [span for of_fact in found for span in of_fact or ()]
    starts = range(0, len(spans), SPANS_PER_BATCH)
    batches = [_spans(spans[start : start + SPANS_PER_BATCH]) for start in starts]
    return batches, found.count(None)


def weight(kinds: ByKind) -> int:
    """About how many rows' worth of memory facts take."""
    kernels = [len(fact.kernels.name_index) for fact in kinds.get(JoinedKernels, ())]
    members = [len(fact.scheduled.request_index) for fact in kinds.get(JoinedStep, ())]
    rows = sum(each // MEMBERS_PER_ROW for each in members)
    return sum(map(len, kinds.values())) + sum(kernels) + rows


def _rows(block: Block, requests: Sequence[JoinedRequest], boot_id: str) -> Batch:
    ended = Ended()
    if block.table is Tables.REQUESTS:
        stamps = [
            fact.finished.finished_ns for fact in requests if fact.producer.boot_id == boot_id
        ]
        ended = Ended(boot_id, stamps)
    return Batch("clickhouse", block.table.name, block.rows, block.body, ended)


def _spans(spans: Sequence[OurSpan]) -> Batch:
    return Batch("otlp", "traces", len(spans), encode(spans))
