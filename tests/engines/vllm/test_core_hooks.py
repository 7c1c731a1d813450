"""The hooks do no harm: to what vLLM returns and raises, when they fail, when they are undone."""

import gc
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from otel_llm.engines.vllm import core as core_module
from otel_llm.engines.vllm import core_hooks, extract
from otel_llm.engines.vllm.accounts import Account
from otel_llm.engines.vllm.core import Core
from otel_llm.engines.vllm.core_arrivals import Arrivals
from otel_llm.engines.vllm.core_flight import Flight
from otel_llm.engines.vllm.core_members import Members
from otel_llm.engines.vllm.core_patches import close_all, patches_of
from otel_llm.engines.vllm.identity import put
from otel_llm.facts.request import RequestArrived, RequestFinished
from otel_llm.facts.step import StepDone, StepScheduled
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.patching import PatchSet
from otel_llm.testing import Swallowed
from tests.engines.vllm.core_followed import followed
from tests.engines.vllm.core_objects import Request, SchedulerOutput
from tests.engines.vllm.core_scheduler import EngineCore, Scheduler, Shape
from tests.engines.vllm.test_core_arrivals import ORIGIN

PLACES: list[tuple[object, str]] = [
    (Members, "look"),
    (Members, "settle"),
    (Account, "place"),
    (Account, "preempted"),
    (Account, "report"),
    (Account, "unscheduled"),
    (Account, "lowered"),
    (Flight, "place"),
    (Flight, "drop"),
    (Flight, "lose"),
    (Flight, "strike"),
    (Flight, "judged"),
    (Arrivals, "account"),
    (extract, "sampled"),
    (extract, "end"),
    (core_module, "StepScheduled"),
    (core_module, "StepDone"),
    (Core, "_report"),
    (Core, "_stale"),
]


def run(scheduler: Scheduler, seed: int) -> list[object]:
    """Everything that a scheduler returns in a run, aborts and resets among it."""
    chance = random.Random(seed)
    returned: list[object] = []
    flying: list[SchedulerOutput] = []
    for number in range(60):
        if number % 5 == 0 and number < 40:
            scheduler.add_request(Request(f"r{number}", chance.randint(1, 30)))
        if scheduler.requests and chance.random() < 0.05:
            scheduler.finish_requests([chance.choice(list(scheduler.requests))])
        if chance.random() < 0.05:
            scheduler.reset_prefix_cache()
        output = scheduler.schedule()
        returned.append((dict(output.num_scheduled_tokens), output.scheduled_cached_reqs))
        flying.append(output)
        if len(flying) == 2:
            output = flying.pop(0)
            result = scheduler.run_model(output)
            if chance.random() < 0.1 and output.num_scheduled_tokens:
                result.failed_loads = {next(iter(output.num_scheduled_tokens))}
            returned.append(scheduler.update_from_output(output, result))
    return returned


SHAPE = Shape(ahead=True, drafts=2, budget=24)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
def test_a_hook_that_raises_never_reaches_the_engine(
    place: tuple[object, str], monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    """Wherever our code raises, vLLM goes on as without hooks, and the error is counted."""
    plain = run(Scheduler(SHAPE, random.Random(5)), 5)

    def broken(*_args: object, **_kwargs: object) -> None:
        message = "broken on purpose"
        raise RuntimeError(message)

    with followed(SHAPE, random.Random(5)) as (scheduler, _kept):
        monkeypatch.setattr(place[0], place[1], broken)
        assert run(scheduler, 5) == plain
    assert any("broken on purpose" in str(error) for _, error in swallowed)
    swallowed.clear()


def test_the_hooks_change_nothing() -> None:
    """With hooks that work, too, vLLM returns the same."""
    plain = run(Scheduler(SHAPE, random.Random(6)), 6)
    with followed(SHAPE, random.Random(6)) as (scheduler, kept):
        assert run(scheduler, 6) == plain
    assert any(isinstance(one, RequestFinished) for one in kept)


class EngineError(Exception):
    """What the modelled engine raises."""


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("schedule", lambda s: s.schedule()),
        ("update_from_output", lambda s: s.update_from_output(s.next, None)),
        ("add_request", lambda s: s.add_request(Request("b", 3))),
        ("_free_request", lambda s: s._free_request(s.requests["a"])),
        ("_preempt_request", lambda s: s._preempt_request(s.requests["a"], 0.0)),
        ("_handle_invalid_blocks", lambda s: s._handle_invalid_blocks(set(), {})),
    ],
)
def test_what_the_original_raises_passes(
    method: str, call: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very error reaches the caller, and the hooks go on with the next step."""
    error = EngineError()

    def raising(*_args: object) -> None:
        raise error

    original = getattr(Scheduler, method)
    takes = {"schedule": "throttle_prefills", "update_from_output": "scheduler_output"}
    if method in takes:
        raising.__signature__ = core_hooks.inspect.signature(original)  # type: ignore[attr-defined]
    monkeypatch.setattr(Scheduler, method, raising)
    with followed(Shape(), random.Random(1)) as (scheduler, kept):
        scheduler.requests["a"] = Request("a", 3)
        vars(scheduler)["next"] = SchedulerOutput([], None, {}, {})  # type: ignore[arg-type]
        with pytest.raises(EngineError) as caught:
            call(scheduler)
    assert caught.value is error
    assert list(kept) == []


def test_a_step_whose_update_raised_has_no_result() -> None:
    """It stays in flight for the flight recorder; ends that came up before are written."""
    with followed(Shape(), random.Random(1)) as (scheduler, kept):
        scheduler.add_request(Request("a", 3))
        output = scheduler.schedule()

        def fail(*_args: object, **_kwargs: object) -> None:
            scheduler.finish_requests(["a"], "error")
            raise EngineError

        scheduler._deliver = fail  # type: ignore[assignment]
        with pytest.raises(EngineError):
            scheduler.update_from_output(output, scheduler.run_model(output))
        scheduler.add_request(Request("b", 3))
        scheduler.schedule()
    assert [one.seq for one in kept if isinstance(one, StepScheduled)] == [1, 2]
    assert not any(isinstance(one, StepDone) for one in kept)
    assert sum(isinstance(one, RequestFinished) for one in kept) == 1


@contextmanager
def patched(*left_out: str, disown: Callable[[str], None] = lambda _: None) -> Iterator[PatchSet]:
    """The hooks in the modelled classes, and out again."""
    patches = PatchSet(*patches_of(Scheduler, EngineCore, lambda: left_out, disown))
    assert patches.apply() == []
    try:
        yield patches
    finally:
        close_all()
        assert patches.undo() == []


def test_the_version_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit that Hugging Face's cache names for the model that vLLM was told to serve."""
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(tmp_path / "j"))
    monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", str(1 << 20))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    reference = tmp_path / "hub/models--org--name/refs/v2"
    reference.parent.mkdir(parents=True)
    reference.write_text("c0ffee\n")
    scheduler = Scheduler(Shape(), random.Random(1))
    scheduler.vllm_config.model_config.model = "org/name"
    scheduler.vllm_config.model_config.revision = "v2"
    core_hooks.attach(scheduler)
    reader = JournalReader.open(scan(tmp_path / "j")[0])
    assert reader.producer.identity.model_version == "c0ffee"
    core_hooks.detach(scheduler)


def test_a_scheduler_gets_a_journal_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened when it is made, with all that is known of the engine; closed when told."""
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(tmp_path / "j"))
    monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", str(1 << 20))
    with patched("vllm.x: not there"):
        scheduler = Scheduler(Shape(), random.Random(1))
        reader = JournalReader.open(scan(tmp_path / "j")[0])
        assert (reader.producer.kind, reader.producer.engine) == ("engine", "vllm")
        assert (reader.producer.model, reader.producer.dp_rank) == ("tiny", 0)
        assert reader.producer.left_out == ["vllm.x: not there"]
        assert hasattr(scheduler, core_hooks.CORE)
        close_all()
        assert not hasattr(scheduler, core_hooks.CORE)
        assert reader.counters.clean_close
    reader.close()


def test_one_that_nobody_holds_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler that is collected without a shutdown leaves no journal that looks alive."""
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(tmp_path / "j"))
    monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", str(1 << 20))
    with patched():
        scheduler = Scheduler(Shape(), random.Random(1))
        reader = JournalReader.open(scan(tmp_path / "j")[0])
        assert not reader.counters.clean_close
        del scheduler
        gc.collect()
        assert reader.counters.clean_close
    reader.close()


def test_one_that_was_there_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is followed from the first request on that finds it empty; those before are disowned."""
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(tmp_path / "j"))
    monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", str(1 << 20))
    scheduler = Scheduler(Shape(), random.Random(1))
    scheduler.add_request(Request("a", 3))
    disowned: list[str] = []
    with patched(disown=disowned.append):
        second: Any = Request("b", 3)
        second.trace_headers = put({"traceparent": "00-ab"}, ORIGIN)
        scheduler.add_request(second)
        assert (disowned, second.trace_headers) == (["b"], None)
        assert not hasattr(scheduler.schedule(), "otel_llm_step")
        assert scan(tmp_path / "j") == []
        scheduler.finish_requests(["a", "b"])
        third: Any = Request("c", 3)
        third.trace_headers = put(None, ORIGIN)
        scheduler.add_request(third)
        assert scheduler.schedule().otel_llm_step[2] == 1  # type: ignore[attr-defined]
        assert (disowned, third.trace_headers) == (["b"], None)
        (path,) = scan(tmp_path / "j")
        reader = JournalReader.open(path)
        arrived = [one for one in reader.read() if isinstance(one, RequestArrived)]
        assert [(one.request_id, one.frontend) for one in arrived] == [("c", ORIGIN.frontend)]
    reader.close()


def test_hooks_that_are_undone_follow_nothing() -> None:
    """Under somebody else's patch they stay in place, and ask first."""
    patches = PatchSet(*patches_of(Scheduler, EngineCore, lambda: None))
    assert patches.apply() == []
    scheduler = Scheduler(Shape(), random.Random(1))
    scheduler.add_request(Request("a", 3))
    assert not hasattr(scheduler, core_hooks.CORE)
    assert patches.undo() == []


def test_undone_and_put_in_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every original is back; put in again, a new scheduler has one set of facts."""
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(tmp_path / "j"))
    monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", str(1 << 20))
    before = dict(vars(Scheduler)), dict(vars(EngineCore))
    for _ in range(2):
        with patched() as patches:
            assert patches.apply() == []
            scheduler = Scheduler(Shape(), random.Random(1))
            scheduler.add_request(Request("a", 3))
            output = scheduler.schedule()
            assert output.otel_llm_step[2] == 1  # type: ignore[attr-defined]
        assert (dict(vars(Scheduler)), dict(vars(EngineCore))) == before
    assert len(scan(tmp_path / "j")) == 2


def test_a_method_that_takes_other_arguments_is_left_alone() -> None:
    """A hook in every step hands on known arguments; with others it is not put in, and says so."""

    class Later(Scheduler):
        def schedule(self, throttle_prefills: bool = False, more: int = 0) -> SchedulerOutput:  # noqa: ARG002
            return super().schedule(throttle_prefills)

    class Fewer(Scheduler):
        def update_from_output(self, scheduler_output: SchedulerOutput) -> None:  # type: ignore[override]
            del scheduler_output

    for changed, takes in ((Later, "throttle_prefills, more"), (Fewer, "scheduler_output")):
        patches = PatchSet(*patches_of(changed, EngineCore))
        (problem,) = patches.apply()
        assert problem.patch == "vllm.core"
        assert f"takes self, {takes} where" in problem.reason
        assert "vllm.core.preemption" in patches.applied
        assert patches.undo() == []


def test_a_missing_method_costs_its_own_hook_alone() -> None:
    """An engine without a method that stands alone is followed without it."""

    class Bare:
        preprocess_add_request = EngineCore.preprocess_add_request

    patches = PatchSet(*patches_of(Scheduler, Bare))
    (problem,) = patches.apply()
    assert problem.patch == "vllm.core.shutdown"
    assert "vllm.core" in patches.applied
    assert patches.undo() == []
