"""The guide for engine authors: its code runs, and its names are the code's."""

import inspect
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from otel_llm.facts import RequestFinished, StepDone
from otel_llm.journal.reader import JournalReader, WriterCounters
from otel_llm.recorder import Recorder, RequestHandle

GUIDE = Path(__file__).parents[2] / "docs" / "instrument-your-engine.md"


def blocks(language: str) -> list[str]:
    """The guide's code blocks of a language, in order."""
    text = GUIDE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All Python blocks run one after another, and the toy engine's facts are what they claim."""
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(tmp_path / "j"))
    monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", str(1 << 20))
    found = blocks("python")
    assert len(found) == 2
    namespace: dict[str, Any] = {}
    for block in found:
        exec(compile(block, str(GUIDE), "exec"), namespace)
    ends = [one for one in namespace["records"] if isinstance(one, RequestFinished)]
    assert {
        end.index: (end.outcome, end.output_tokens, end.unscheduled_tokens) for end in ends
    } == {
        1: ("finished", 5, 0), 2: ("cancelled", 1, 0), 3: ("finished", 5, 0), 4: ("cancelled", 0, 9)
    }  # fmt: skip
    for end in ends:
        if not end.output_tokens:
            continue
        stamps = [
            end.queued_ns, end.scheduled_ns, end.first_token_ns, end.first_output_ns,
            end.finished_ns,
        ]  # fmt: skip
        assert None not in stamps
        assert stamps == sorted(stamp for stamp in stamps if stamp is not None)
    steps = [one for one in namespace["records"] if isinstance(one, StepDone)]
    assert len(steps) == 6
    assert namespace["scheduled"] == {1: 16, 2: 30, 3: 11, 4: 0}
    with closing(JournalReader.open(namespace["newest"])) as reader:
        assert reader.counters == WriterCounters(dropped=0, swallowed=0, clean_close=True)


@pytest.mark.parametrize(
    "method",
    [
        Recorder.open,
        Recorder.request_arrived,
        Recorder.step_scheduled,
        Recorder.step_done,
        Recorder.kernels,
        RequestHandle.scheduled,
        RequestHandle.preempted,
        RequestHandle.recomputed,
        RequestHandle.resumed,
        RequestHandle.rejected,
        RequestHandle.discarded,
        RequestHandle.finished,
    ],
)
def test_every_argument_is_explained(method: Callable[..., object]) -> None:
    """The guide names every argument of every public call."""
    text = GUIDE.read_text(encoding="utf-8")
    for name in inspect.signature(method).parameters:
        if name not in ("self", "cls"):
            assert re.search(rf"\b{name}\b", text), f"{method.__qualname__}: {name}"


def test_every_method_is_explained() -> None:
    """The guide names every public method of recorder and handle."""
    text = GUIDE.read_text(encoding="utf-8")
    for owner in (Recorder, RequestHandle):
        for name in vars(owner):
            if not name.startswith("_") and callable(getattr(owner, name)):
                assert f"{name}(" in text, name
