"""Scheduler and model together: what is generated does not depend on how it was scheduled."""

import pytest

from otel_llm.demo.engine.config import EngineConfig, ModelConfig, SchedulerConfig
from otel_llm.demo.engine.executor import Executor
from otel_llm.demo.engine.scheduler import Scheduler
from otel_llm.demo.engine.sequence import Sampling, Sequence
from otel_llm.demo.engine.tokenizer import encode

MODEL = ModelConfig(layers=2, dim=32, heads=4, kv_heads=2, head_dim=8, ffn=48)
ROOMY = SchedulerConfig(
    token_budget=512, max_running=16, max_waiting=64, blocks=256, block_size=4, max_model_len=256
)
PROMPTS = ["hello there", "the quick brown fox jumps over", "x", "hello there", "hello then"]


class Engine:
    """A synchronous engine."""

    def __init__(self, limits: SchedulerConfig = ROOMY) -> None:
        self.scheduler = Scheduler(limits)
        self.preemptions = 0
        self._executor = Executor(EngineConfig(model=MODEL, scheduler=limits))

    def generate(self, *prompts: str, sampling: Sampling | None = None) -> list[Sequence]:
        """Run prompts to their end, all in the queue at once."""
        sequences = [
            Sequence(str(row), encode(prompt), sampling or Sampling(24))
            for row, prompt in enumerate(prompts)
        ]
        self.scheduler.add(sequences)
        while self.scheduler.has_work:
            plan = self.scheduler.schedule()
            self.preemptions += len(plan.preempted)
            self.scheduler.complete(plan, self._executor.run(plan))
        return sequences


@pytest.fixture(scope="module")
def alone() -> list[list[int]]:
    """Tokens of each prompt on an engine of its own."""
    return [Engine().generate(prompt)[0].tokens for prompt in PROMPTS]


def tokens(sequences: list[Sequence]) -> list[list[int]]:
    """Prompt and output of each."""
    return [each.tokens for each in sequences]


def test_prompts_lead_to_different_texts(alone: list[list[int]]) -> None:
    """The output depends on the prompt, or the other tests here would show nothing."""
    outputs = [tuple(each[-24:]) for each in alone]
    assert len(set(outputs)) == 4
    assert outputs[0] == outputs[3]


def test_batched_equals_alone(alone: list[list[int]]) -> None:
    """A batch generates what each prompt generates alone."""
    assert tokens(Engine().generate(*PROMPTS)) == alone


@pytest.mark.parametrize("budget", [1, 3, 7])
def test_chunked_prefill_equals_one_shot(alone: list[list[int]], budget: int) -> None:
    """However small the token budget, the texts are the same."""
    limits = SchedulerConfig(**{**vars(ROOMY), "token_budget": budget})
    assert tokens(Engine(limits).generate(*PROMPTS)) == alone


def test_a_cache_hit_equals_a_miss(alone: list[list[int]]) -> None:
    """A prompt served from the prefix cache generates the same text."""
    engine = Engine()
    engine.generate(*PROMPTS)
    again = engine.generate(*PROMPTS)
    assert tokens(again) == alone
    assert [each.cached for each in again] == [8, 28, 0, 8, 8]


def test_recompute_after_preemption_equals_uninterrupted(alone: list[list[int]]) -> None:
    """Too few blocks for all: some lose their place, and the texts are the same."""
    limits = SchedulerConfig(**{**vars(ROOMY), "blocks": 16, "max_model_len": 64})
    engine = Engine(limits)
    assert tokens(engine.generate(*PROMPTS)) == alone
    assert engine.preemptions >= 2


def test_seeded_draws_survive_preemption() -> None:
    """A preempted sequence goes on with its own random state."""
    sampling = Sampling(24, temperature=1.0, seed=11)
    roomy = tokens(Engine().generate(*PROMPTS, sampling=sampling))
    limits = SchedulerConfig(**{**vars(ROOMY), "blocks": 16, "max_model_len": 64})
    assert tokens(Engine(limits).generate(*PROMPTS, sampling=sampling)) == roomy
