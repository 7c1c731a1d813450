"""Tells the demo's clients which phase their request is in, so that they can give up in it.

A second reader of the engines' journals, beside the agent. It decides only when a client leaves;
what the run is judged by comes from elsewhere.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from otel_llm.context import parse_traceparent
from otel_llm.demo.workload import GiveUp
from otel_llm.facts import PHASE_PREFILL, RequestArrived, StepScheduled
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.journal.records import Record

POLL_S = 0.005
Request = tuple[str, int]


class PhaseWatch:
    """Follows the requests of traces that somebody waits for.

    Args:
        journal_dir: where the engines' journals are.
    """

    def __init__(self, journal_dir: Path) -> None:
        self._directory = journal_dir
        self._readers: dict[str, JournalReader] = {}
        self._expected: dict[tuple[str, GiveUp], asyncio.Event] = {}
        self._waiting: dict[Request, tuple[str, int]] = {}

    def reached(self, trace_id: str, phase: GiveUp) -> asyncio.Event:
        """An event that is set once a request of the trace is in the phase.

        `queue`: it has arrived at an engine. `prefill`: a step computes a part of its prompt, and
        another part remains.
        """
        return self._expected.setdefault((trace_id, phase), asyncio.Event())

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                for reader in self._open():
                    for record in reader.read():
                        self._take(reader.producer.instance_id, record)
                await asyncio.sleep(POLL_S)
        finally:
            for reader in self._readers.values():
                reader.close()

    def _open(self) -> Iterator[JournalReader]:
        for path in scan(self._directory, "engine"):
            if path.name not in self._readers:
                self._readers[path.name] = JournalReader.open(path)
        yield from self._readers.values()

    def _take(self, instance: str, record: Record) -> None:
        if isinstance(record, RequestArrived):
            context = parse_traceparent(record.traceparent or "")
            if context is not None:
                self._waiting[instance, record.index] = (context.trace_id, record.prompt_tokens)
                self._set(context.trace_id, "queue")
        elif isinstance(record, StepScheduled):
            members = zip(
                record.request_index, record.phase, record.tokens, record.context, strict=True
            )
            for index, phase, tokens, context_tokens in members:
                self._scheduled((instance, index), phase, tokens + context_tokens)

    def _scheduled(self, request: Request, phase: int, computed: int) -> None:
        trace_id, prompt_tokens = self._waiting.pop(request, ("", 0))
        if phase == PHASE_PREFILL and computed < prompt_tokens:
            self._set(trace_id, "prefill")

    def _set(self, trace_id: str, phase: GiveUp) -> None:
        if (trace_id, phase) in self._expected:
            self._expected[trace_id, phase].set()
