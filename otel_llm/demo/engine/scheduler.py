"""Continuous batching: who computes how many tokens in the next step.

First come, first served, under a token budget. A prompt longer than what is left of the budget is
computed in chunks. When blocks run out, the youngest running sequence loses its place. It is later
computed again from its first token, but for what the prefix cache still has of it.
"""

from collections import deque
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field
from typing import NamedTuple

from otel_llm.demo.engine.blocks import BlockPool, chain_digests
from otel_llm.demo.engine.config import SchedulerConfig
from otel_llm.demo.engine.sequence import Sequence, Status


class QueueFullError(Exception):
    """The queue cannot take the sequences of one more call."""


class Share(NamedTuple):
    """One sequence's share of a step.

    Attributes:
        sequence: whose.
        tokens: how many tokens are computed.
        context: how many were computed before.
        decode: whether this is a decode; a prefill otherwise.
        samples: whether the step makes a token for it, which it does when nothing is left.
    """

    sequence: Sequence
    tokens: int
    context: int
    decode: bool
    samples: bool


@dataclass
class Plan:
    """What one step does.

    Attributes:
        shares: the batch.
        admitted: sequences in a step for the first time.
        resumed: sequences in a step again after they lost their place, each with the tokens that
            the prefix cache had of it.
        preempted: sequences that lost their place.
        running: sequences running, this batch included.
        waiting: sequences waiting.
        kv_used: KV-cache blocks held.
        kv_total: KV-cache blocks there are.
    """

    shares: list[Share] = field(default_factory=list)
    admitted: list[Sequence] = field(default_factory=list)
    resumed: list[tuple[Sequence, int]] = field(default_factory=list)
    preempted: list[Sequence] = field(default_factory=list)
    running: int = 0
    waiting: int = 0
    kv_used: int = 0
    kv_total: int = 0


class Scheduler:
    """Decides each step. Not thread-safe: the core holds its lock around every call.

    Attributes:
        waiting: sequences in the queue, next first.
        running: sequences that hold blocks, oldest first.
        pool: the KV-cache blocks.
    """

    def __init__(self, config: SchedulerConfig) -> None:
        self._config = config
        self.pool = BlockPool(config.blocks)
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    @property
    def has_work(self) -> bool:
        """Whether any sequence is unfinished."""
        return bool(self.waiting or self.running)

    def add(self, sequences: Seq[Sequence]) -> None:
        """Queue the sequences of one call: all or none.

        Raises:
            QueueFullError: the queue has no room for them.
        """
        if len(self.waiting) + len(sequences) > self._config.max_waiting:
            raise QueueFullError
        self.waiting.extend(sequences)

    def abort(self, sequence: Sequence) -> bool:
        """End a sequence wherever it is. A step that has it in its batch gains it nothing more.

        Returns:
            False if it had finished before.
        """
        if sequence.status is Status.FINISHED:
            return False
        if sequence.status is Status.WAITING:
            self.waiting.remove(sequence)
        sequence.finish_reason = "abort"
        self._finish(sequence)
        return True

    def schedule(self) -> Plan:
        """Make the next step. Its batch is empty only if nobody is unfinished."""
        plan = Plan()
        budget = self._continue_running(plan, self._config.token_budget)
        if not plan.preempted:
            self._admit_waiting(plan, budget)
        plan.running, plan.waiting = len(self.running), len(self.waiting)
        plan.kv_used, plan.kv_total = self.pool.used, self.pool.total
        return plan

    def complete(self, plan: Plan, sampled: Seq[int]) -> list[Sequence]:
        """Take in a step's result.

        Args:
            plan: what the step did.
            sampled: a token for each share that samples, in order.

        Returns:
            the sequences that got a token, in the order of `sampled`. A sequence that was aborted
            since the plan was made gets none.
        """
        sampling = [share.sequence for share in plan.shares if share.samples]
        gained: list[Sequence] = []
        for sequence, token in zip(sampling, sampled, strict=True):
            if sequence.status is Status.FINISHED:
                continue
            sequence.append(token)
            gained.append(sequence)
            if sequence.finish_reason is not None:
                self._finish(sequence)
        return gained

    def _continue_running(self, plan: Plan, budget: int) -> int:
        index = 0
        while index < len(self.running) and budget > 0:
            sequence = self.running[index]
            tokens = min(sequence.remaining, budget)
            if not self._make_room(plan, sequence, tokens):
                break
            self._share(plan, sequence, tokens)
            budget -= tokens
            index += 1
        return budget

    def _make_room(self, plan: Plan, sequence: Sequence, tokens: int) -> bool:
        """Preempt from the youngest on until the tokens fit; False if it came to `sequence`."""
        while self._missing(sequence, tokens) > self.pool.free:
            victim = self.running.pop()
            self._preempt(plan, victim)
            if victim is sequence:
                return False
        return True

    def _admit_waiting(self, plan: Plan, budget: int) -> None:
        while self.waiting and budget > 0 and len(self.running) < self._config.max_running:
            sequence = self.waiting[0]
            cached = self._cached_blocks(sequence)
            computed = len(cached) * self._config.block_size
            tokens = min(len(sequence.tokens) - computed, budget)
            # Cached blocks that nobody holds are free ones too: hold them before counting.
            self.pool.share(cached)
            if self._blocks_for(computed + tokens) - len(cached) > self.pool.free:
                self.pool.release(cached)
                break
            self.waiting.popleft()
            self._start(plan, sequence, cached)
            self._share(plan, sequence, tokens)
            budget -= tokens

    def _cached_blocks(self, sequence: Sequence) -> list[int]:
        """Blocks that the prefix cache has of it. One token at least is left, for its logits."""
        full = (len(sequence.tokens) - 1) // self._config.block_size
        sequence.digests = chain_digests(sequence.tokens, self._config.block_size, sequence.digests)
        return self.pool.find(sequence.digests[:full])

    def _start(self, plan: Plan, sequence: Sequence, cached: list[int]) -> None:
        sequence.blocks = cached
        sequence.computed = len(cached) * self._config.block_size
        sequence.status = Status.RUNNING
        self.running.append(sequence)
        if sequence.cached is None:
            sequence.cached = sequence.computed
            plan.admitted.append(sequence)
        else:
            plan.resumed.append((sequence, sequence.computed))

    def _share(self, plan: Plan, sequence: Sequence, tokens: int) -> None:
        """Give a sequence its blocks and its place in the batch."""
        sequence.blocks += self.pool.take(self._missing(sequence, tokens))
        samples = tokens == sequence.remaining
        plan.shares.append(Share(sequence, tokens, sequence.computed, sequence.decoding, samples))
        context, sequence.computed = sequence.computed, sequence.computed + tokens
        self._publish(sequence, context)

    def _publish(self, sequence: Sequence, context: int) -> None:
        """Make blocks filled by this step findable at once.

        Sequences of the same step may share them: the model writes every key and value of a layer
        before it attends.
        """
        size = self._config.block_size
        full = sequence.computed // size
        if len(sequence.digests) < full:
            sequence.digests = chain_digests(sequence.tokens[: full * size], size, sequence.digests)
        for index in range(context // size, full):
            self.pool.publish(sequence.blocks[index], sequence.digests[index])

    def _preempt(self, plan: Plan, sequence: Sequence) -> None:
        plan.preempted.append(sequence)
        self._drop_blocks(sequence)
        sequence.status = Status.WAITING
        self.waiting.appendleft(sequence)

    def _finish(self, sequence: Sequence) -> None:
        if sequence.status is Status.RUNNING:
            self.running.remove(sequence)
        self._drop_blocks(sequence)
        sequence.status = Status.FINISHED

    def _drop_blocks(self, sequence: Sequence) -> None:
        self.pool.release(sequence.blocks)
        sequence.blocks = []
        sequence.computed = 0

    def _missing(self, sequence: Sequence, tokens: int) -> int:
        return self._blocks_for(sequence.computed + tokens) - len(sequence.blocks)

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self._config.block_size)
