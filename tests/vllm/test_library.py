"""VLLM as a library: forked, in one process, and without hooks. Journals are read directly."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from otel_llm.demo.vllm.model import write_model
from otel_llm.demo.vllm.server import ENVIRONMENT
from otel_llm.facts import (
    RequestArrived,
    RequestDelivered,
    RequestFinished,
    StepDone,
    StepScheduled,
)
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.journal.records import Record

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(300)]

SCRIPT = Path(__file__).with_name("library_script.py")
SEQUENCES = 16


class Journal(NamedTuple):
    """What stands in one journal."""

    kind: str
    clean: bool
    dropped: int
    swallowed: int
    records: list[Record]


class Ran(NamedTuple):
    """What the script told, and the journals it left."""

    told: dict[str, Any]
    journals: list[Journal]

    def records(self, kind: type) -> list[Any]:
        """All records of one kind."""
        return [r for journal in self.journals for r in journal.records if isinstance(r, kind)]


def run_script(cli: Path, tmp_path: Path, how: str, hooks: bool, **variables: str) -> Ran:
    """Run the script with vLLM's Python."""
    journal_dir = tmp_path / "journals"
    journal_dir.mkdir(mode=0o700)
    script = [str(cli.with_name("python")), str(SCRIPT), str(write_model(tmp_path / "model")), how]
    run = [sys.executable, "-m", "otel_llm.cli.main", "run", "--"] if hooks else []
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_LLM_")}
    environment = {"OTEL_LLM_JOURNAL_DIR": str(journal_dir), **ENVIRONMENT, **variables}
    done = subprocess.run(
        [*run, *script], env={**kept, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    [line] = [line for line in done.stdout.splitlines() if line.startswith('{"hooked"')]
    return Ran(json.loads(line), [read(path) for path in scan(journal_dir)])


def read(path: Path) -> Journal:
    """All records of a journal whose writer has gone."""
    reader = JournalReader.open(path)
    records: list[Record] = []
    while more := reader.read():
        records += more
    counters, producer = reader.counters, reader.producer
    reader.close()
    return Journal(
        producer.kind,
        counters.clean_close,
        counters.dropped,
        counters.swallowed,
        records,
    )


def check_accounts(ran: Ran) -> None:
    """One half of each request in each journal, the same requests, and exact accounts."""
    assert sorted(journal.kind for journal in ran.journals) == ["engine", "frontend"]
    assert [(j.clean, j.dropped, j.swallowed) for j in ran.journals] == [(True, 0, 0)] * 2
    arrived = ran.records(RequestArrived)
    finished = {one.index: one for one in ran.records(RequestFinished)}
    delivered = {one.request_id: one for one in ran.records(RequestDelivered)}
    assert len(arrived) == len(finished) == len(delivered) == SEQUENCES
    in_steps: dict[int, int] = defaultdict(int)
    for step in ran.records(StepScheduled):
        for index, tokens in zip(step.request_index, step.tokens, strict=True):
            in_steps[index] += tokens
    assert {s.seq for s in ran.records(StepScheduled)} == {s.seq for s in ran.records(StepDone)}
    for one in arrived:
        end = finished[one.index]
        terms = one.prompt_tokens - end.unscheduled_tokens - end.cached_tokens
        terms += max(end.output_tokens - 1, 0) + end.recomputed_tokens
        terms += end.rejected_tokens + end.discarded_tokens
        assert terms == in_steps[one.index] > 0
        assert delivered[one.request_id].output_tokens == end.output_tokens
    assert sum(end.output_tokens for end in finished.values()) == sum(ran.told["tokens"])
    assert sum(end.cached_tokens for end in finished.values()) > 0


def test_a_forked_engine_core_has_a_journal_of_its_own(vllm_cli: Path, tmp_path: Path) -> None:
    """The process that loads the plug-in forks the core: hooks are there once, in both."""
    ran = run_script(vllm_cli, tmp_path, "fork", hooks=True)
    assert ran.told["processes"] == ["ForkProcess"]
    check_accounts(ran)


def test_undo_in_one_process(vllm_cli: Path, tmp_path: Path) -> None:
    """Core and API in one process have a journal each; taken out, the hooks tell nothing more."""
    variables = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    ran = run_script(vllm_cli, tmp_path, "undo", hooks=True, **variables)
    check_accounts(ran)
    assert ran.told["processes"] == []
    assert len(ran.told["hooked"]) >= 10
    assert ran.told["problems"] == []
    assert ran.told["hooked_after"] == []
    assert len(ran.told["after"]) == SEQUENCES


def test_without_the_switch_nothing_is_touched(vllm_cli: Path, tmp_path: Path) -> None:
    """No journal, no method of ours, and nothing of us imported but the entry point."""
    variables = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    ran = run_script(vllm_cli, tmp_path, "spawn", hooks=False, **variables)
    assert ran.journals == []
    assert ran.told["hooked"] == []
    assert len(ran.told["tokens"]) == SEQUENCES
    ours = {"otel_llm", "otel_llm.engines", "otel_llm.engines.vllm", "otel_llm.engines.vllm.plugin"}
    assert set(ran.told["modules"]) == ours
