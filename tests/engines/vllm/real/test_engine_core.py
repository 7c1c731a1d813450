"""vLLM's own `EngineCore` from its constructor on, with a scripted executor: its loop decides when.

Here nothing of the engine core is left out: it loads plug-ins, plans its KV cache, and steps with
a queue of batches in flight where scheduling is asynchronous.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from vllm.v1.core.sched.output import GrammarOutput, SchedulerOutput
from vllm.v1.engine.core import EngineCore
from vllm.v1.executor import Executor
from vllm.v1.outputs import EMPTY_MODEL_RUNNER_OUTPUT, DraftTokenIds, ModelRunnerOutput

from tests.engines.vllm.real.config import Shape, kv_cache_spec, vllm_config
from tests.engines.vllm.real.drive import each, over_the_wire, request
from tests.engines.vllm.real.journals import Facts, read

pytestmark = pytest.mark.vllm

BLOCKS = 33


class ScriptedExecutor(Executor):
    """Executes nothing: each sampling member gets a token, and one more for each other draft."""

    shape = Shape()
    between: Callable[[int], None] = staticmethod(lambda _number: None)
    """Called while the model executes, with the number of the step."""

    def _init_executor(self) -> None:
        self._waiting: deque[SchedulerOutput] = deque()
        self._computed: dict[str, int] = {}
        self._lengths: dict[str, int] = {}
        self._steps = 0

    def check_health(self) -> None:
        """It is well."""

    def collective_rpc(self, method: Any, *_: Any, **__: Any) -> list[Any]:  # noqa: ANN401
        """What the workers of a model on this machine would answer."""
        spec = kv_cache_spec(self.shape)
        answers: dict[str, Any] = {
            "get_kv_cache_spec": {"layer": spec},
            "determine_available_memory": (BLOCKS + 1) * spec.page_size_bytes,
            "get_supported_kv_cache_layouts": ["LBHNC"],
            "get_encoder_output_width": None,
            "get_supported_tasks": ("generate",),
        }
        if method == "compile_or_warm_up_model":
            return []
        return [answers.get(method)]

    def execute_model(self, scheduler_output: SchedulerOutput, non_block: bool = False) -> Any:  # noqa: ANN401
        """Take a batch in."""
        future: Future[ModelRunnerOutput | None] = Future()
        if not scheduler_output.total_num_scheduled_tokens:
            future.set_result(EMPTY_MODEL_RUNNER_OUTPUT)
            return future
        self._waiting.append(scheduler_output)
        self._steps += 1
        self.between(self._steps)
        future.set_result(None)
        return future if non_block else None

    def sample_tokens(
        self,
        grammar_output: GrammarOutput | None,  # noqa: ARG002
        non_block: bool = False,
    ) -> Any:  # noqa: ANN401
        """Sample for the batch taken in first."""
        output = self._sample(self._waiting.popleft())
        if not non_block:
            return output
        future: Future[ModelRunnerOutput] = Future()
        future.set_result(output)
        return future

    def _sample(self, batch: SchedulerOutput) -> ModelRunnerOutput:
        for new in batch.scheduled_new_reqs:
            self._computed[new.req_id] = new.num_computed_tokens
            self._lengths[new.req_id] = len(new.prompt_token_ids or ())
        names = list(batch.num_scheduled_tokens)
        sampled = []
        for name, count in batch.num_scheduled_tokens.items():
            drafts = len(batch.scheduled_spec_decode_tokens.get(name, ()))
            self._computed[name] += count
            whole = self._computed[name] >= self._lengths[name]
            sampled.append([40 + self._steps % 100] * (1 + drafts // 2) if whole else [])
        self._drafted = [name for name, tokens in zip(names, sampled, strict=True) if tokens]
        return ModelRunnerOutput(
            req_ids=names,
            req_id_to_index={name: index for index, name in enumerate(names)},
            sampled_token_ids=sampled,
        )

    def take_draft_token_ids(self) -> DraftTokenIds:
        """Propose as many drafts as there may be."""
        return DraftTokenIds(self._drafted, [[7] * self.shape.drafts for _ in self._drafted])


MakeCore = Callable[..., EngineCore]


@pytest.fixture
def core(hooks: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeCore]:
    """Makes an engine core of a shape."""
    assert hooks
    made: list[EngineCore] = []

    def make(**given: Any) -> EngineCore:  # noqa: ANN401
        shape = Shape(max_model_len=128, **given)
        monkeypatch.setattr(ScriptedExecutor, "shape", shape)
        config = vllm_config(shape)
        config.cache_config.num_gpu_blocks_override = BLOCKS
        made.append(EngineCore(config, ScriptedExecutor, log_stats=True))
        return made[-1]

    yield make
    for one in made:
        one.shutdown()


def _add(core: EngineCore, name: str, prompt: int, **given: object) -> None:
    core.add_request(*core.preprocess_add_request(over_the_wire(request(name, prompt, **given))))


def _run(core: EngineCore) -> dict[str, int]:
    """The engine core's busy loop. Returns how many tokens each request got."""
    tokens: dict[str, int] = {}
    for _ in range(500):
        if not (core.scheduler.has_requests() or core.batch_queue):
            return tokens
        outputs, executed = core.step_fn()
        core.post_step(executed)
        for one in each(outputs or {}):
            tokens[one.request_id] = tokens.get(one.request_id, 0) + len(one.new_token_ids)
    message = "still at work"
    raise AssertionError(message)


def _facts(hooks: Any) -> Facts:  # noqa: ANN401
    (facts,) = read(hooks, "engine")
    return facts


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("drafts", [0, 3])
def test_its_own_loop(drafts: int, core: MakeCore, hooks: object, *, asynchronous: bool) -> None:
    """Step after step by `step` and `step_with_batch_queue`: every account holds."""
    one = core(asynchronous=asynchronous, drafts=drafts, batched_tokens=24)
    assert type(one.scheduler).__name__ == ("AsyncScheduler" if asynchronous else "Scheduler")
    assert one.batch_queue_size == (2 if asynchronous else 1)
    for index, name in enumerate("abcd"):
        _add(one, name, 10 + 9 * index, max_tokens=5 + index)
    tokens = _run(one)
    facts = _facts(hooks)
    facts.check()
    assert {name: end.output_tokens for name, end in facts.finished.items()} == tokens
    assert tokens == {"a": 5, "b": 6, "c": 7, "d": 8}
    assert any(step.scheduled.drafts for step in facts.steps) == bool(drafts)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_abort_while_the_model_executes(
    core: MakeCore,
    hooks: object,
    monkeypatch: pytest.MonkeyPatch,
    *,
    asynchronous: bool,
) -> None:
    """An abort from the queue is taken in between a step's execution and its result."""
    one = core(asynchronous=asynchronous)
    _add(one, "a", 10, max_tokens=20)
    _add(one, "b", 10, max_tokens=6)

    def gone(number: int) -> None:
        if number == 4:
            one.aborts_queue.put_nowait(["a"])

    monkeypatch.setattr(ScriptedExecutor, "between", staticmethod(gone))
    _run(one)
    facts = _facts(hooks)
    facts.check()
    end = facts.finished["a"]
    assert (end.outcome, end.finish_reason) == ("cancelled", "abort")
    assert end.discarded_tokens == (2 if asynchronous else 1)
    assert facts.finished["b"].discarded_tokens == 0


def test_shutdown_closes_the_journal(core: MakeCore, hooks: object) -> None:
    """An engine core that shuts down on purpose closes its journal on purpose."""
    from pathlib import Path

    from otel_llm.journal.reader import JournalReader

    one = core()
    _add(one, "a", 10, max_tokens=2)
    _run(one)
    one.shutdown()
    (path,) = Path(str(hooks)).glob("engine-*.journal")
    reader = JournalReader.open(path)
    assert reader.counters.clean_close
    assert not reader.is_alive()
    reader.close()
