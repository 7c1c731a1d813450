"""The rig does what the benchmark says it does, and the hooks see all of it."""

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.vllm_hooks import meter, steps
from benchmarks.vllm_hooks.steps import Bench
from otel_llm.facts.request import RequestDelivered, RequestFinished
from otel_llm.facts.step import PHASE_DECODE, StepDone, StepScheduled
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.journal.records import Record

SHAPES = [(False, 0), (True, 0), (False, 3), (True, 3)]


def facts(journals: Path) -> list[Record]:
    """Of every journal."""
    found: list[Record] = []
    for path in scan(journals):
        reader = JournalReader.open(path)
        while records := reader.read():
            found += records
        reader.close()
    return found


@pytest.mark.parametrize(("asynchronous", "drafts"), SHAPES)
def test_all_members_decode(
    bench: Callable[..., Bench], journals: Path, asynchronous: bool, drafts: int
) -> None:
    """Each step takes every member, as one token or as one and its drafts, of which one fits."""
    made = bench(asynchronous=asynchronous, drafts=drafts)
    made.bytes_per_step(5, steps=30)
    last = [one for one in facts(journals) if isinstance(one, StepScheduled)][-20:]
    assert {one.phase for one in last} == {bytes([PHASE_DECODE]) * 5}
    assert {tuple(one.tokens) for one in last} == {(1 + drafts,) * 5}
    assert {tuple(one.drafts) for one in last} == {(drafts,) * 5 if drafts else ()}
    done = {one.seq: one.whole() for one in facts(journals) if isinstance(one, StepDone)}
    assert {tuple(done[one.seq].accepted) for one in last[:-2]} == {(1,) * 5 if drafts else ()}
    assert {tuple(done[one.seq].emitted) for one in last[:-2]} == {(2 if drafts else 1,) * 5}


def test_one_arrives_is_prefilled_and_ends(
    bench: Callable[..., Bench], journals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps of `arriving` bring in and finish one request each, among others that decode."""
    monkeypatch.setitem(steps.STEPS, 4, 10)
    assert bench(asynchronous=True).arriving(4)() > 0
    whole = [one for one in facts(journals) if isinstance(one, RequestFinished)]
    assert sum(one.finish_reason == "length" for one in whole) >= 10
    ends = [one for one in facts(journals) if isinstance(one, RequestDelivered)]
    assert sum(one.output_tokens == 1 for one in ends) >= 10


@pytest.fixture
def calls_tell_the_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stopwatches' clock goes on by one with each call of a function, at any machine's pace."""
    calls = itertools.count()

    def call(_frame: object, event: str, _arg: object) -> None:
        if event in {"call", "c_call"}:
            next(calls)

    monkeypatch.setattr(meter, "perf_counter_ns", calls.__next__)
    sys.setprofile(call)
    yield
    sys.setprofile(None)


@pytest.mark.usefixtures("calls_tell_the_time")
@pytest.mark.parametrize("asynchronous", [False, True])
def test_every_measure_gives_a_figure(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    """All ways of measuring run one after the other on one rig, and none meets a broken state.

    What the floors leave out of the hooks shows as calls that they do not make.
    """
    monkeypatch.setitem(steps.STEPS, 3, 10)
    made = bench(asynchronous=asynchronous)
    assert made.steady(3)() > 0
    assert abs(made.difference(3)()) < 1e6
    assert made.alone(3)() > 0
    assert made.steady(3)() > 0
    hooks = made.by_hook(3)
    assert set(hooks) == {
        "Scheduler.schedule", "Scheduler.update_from_output", "OutputProcessor.process_outputs",
    }  # fmt: skip
    assert made.bytes_per_step(3) > made.bytes_per_step(1) > 50
    for less in ("passing", "least", "writing"):
        assert made.other(less)(3)() < made.steady(3)()


def test_what_stopwatches_take_is_no_hook_s(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of which each look takes 1 us, and nothing else any time, hooks take none."""
    monkeypatch.setitem(steps.STEPS, 3, 10)
    monkeypatch.setattr(meter, "perf_counter_ns", itertools.count(step=1000).__next__)
    made = bench(asynchronous=True)
    assert made.steady(3)() == 0
    assert made.other("writing")(3)() == 0
    assert set(made.by_hook(3).values()) == {0}


def test_nothing_is_swallowed(bench: Callable[..., Bench], journals: Path) -> None:
    """A hook that fails inside would look cheap."""
    made = bench(asynchronous=True, drafts=3)
    made.steady(3)()
    made.difference(3)()
    for path in scan(journals):
        reader = JournalReader.open(path)
        assert reader.counters.swallowed == 0
        reader.close()
