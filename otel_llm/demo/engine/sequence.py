"""A sequence: one sample of one call, as the scheduler sees it."""

import random
from dataclasses import dataclass, field
from enum import Enum

from otel_llm.demo.engine.tokenizer import EOS, decode


@dataclass(frozen=True)
class Sampling:
    """How a sequence's tokens are chosen and when it ends.

    Attributes:
        max_tokens: most tokens to generate.
        temperature: 0 is greedy.
        seed: makes draws repeatable; None draws anew each time.
        ignore_eos: never say the end-of-sequence token, so that `max_tokens` alone decides.
        stop: texts after which the sequence ends.
    """

    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None
    ignore_eos: bool = True
    stop: tuple[str, ...] = ()


class Status(Enum):
    """Where a sequence is."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(eq=False)
class Sequence:
    """One sample of one call.

    Attributes:
        request_id: the engine's id of this sequence.
        tokens: the prompt, then the output so far.
        sampling: how it is generated.
        prompt_tokens: tokens of the prompt.
        blocks: its KV-cache blocks, in order.
        digests: digest of each of its full blocks, chained; see `blocks.py`.
        computed: tokens whose keys and values are in its blocks.
        cached: prompt tokens served from the prefix cache at first schedule; None before.
        finish_reason: `stop`, `length` or `abort`, once finished.
    """

    request_id: str
    tokens: list[int]
    sampling: Sampling
    prompt_tokens: int = field(init=False)
    status: Status = field(default=Status.WAITING, init=False)
    blocks: list[int] = field(default_factory=list, init=False)
    digests: list[bytes] = field(default_factory=list, init=False)
    computed: int = field(default=0, init=False)
    cached: int | None = field(default=None, init=False)
    finish_reason: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Note the prompt's length and start the random state."""
        self.prompt_tokens = len(self.tokens)
        self.random = random.Random(self.sampling.seed)  # noqa: S311  sampling, not secrets

    @property
    def output_tokens(self) -> int:
        """Tokens generated so far."""
        return len(self.tokens) - self.prompt_tokens

    @property
    def remaining(self) -> int:
        """Tokens known but not computed: the prompt's rest, or the one token just sampled."""
        return len(self.tokens) - self.computed

    @property
    def decoding(self) -> bool:
        """Whether its next step computes only the token just sampled."""
        return self.output_tokens > 0 and self.remaining == 1

    def append(self, token: int) -> None:
        """Add a sampled token, and note the reason if the sequence ends with it."""
        self.tokens.append(token)
        if token == EOS or self._stopped():
            self.finish_reason = "stop"
        elif self.output_tokens >= self.sampling.max_tokens:
            self.finish_reason = "length"

    def _stopped(self) -> bool:
        if not self.sampling.stop:
            return False
        longest = max(map(len, self.sampling.stop))
        tail = decode(self.tokens[self.prompt_tokens :][-longest:])
        return tail.endswith(self.sampling.stop)
