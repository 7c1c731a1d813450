"""Carries out a plan: lays out the batch, runs the model, samples."""

from otel_llm.demo.engine.batch import Member, flatten
from otel_llm.demo.engine.config import EngineConfig
from otel_llm.demo.engine.model import Model
from otel_llm.demo.engine.sampling import sample
from otel_llm.demo.engine.scheduler import Plan, Share
from otel_llm.demo.engine.timing import KernelTimer


class Executor:
    """The model of one engine.

    Attributes:
        timer: the operations of the last plan.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.timer = KernelTimer()
        self._model = Model(config.model, config.scheduler, self.timer)
        self._block_size = config.scheduler.block_size

    def run(self, plan: Plan) -> list[int]:
        """Compute a plan; returns a token for each share that samples, in order."""
        self.timer.clear()
        with self.timer("prepare_batch"):
            batch = flatten([_member(share) for share in plan.shares], self._block_size)
        logits = self._model.forward(batch)
        rows = [row for row, share in enumerate(plan.shares) if share.samples]
        if not rows:  # every member is in the middle of its prompt
            return []
        with self.timer("sample"):
            return sample(logits[rows], [plan.shares[row].sequence for row in rows])


def _member(share: Share) -> Member:
    end = share.context + share.tokens
    return Member(share.sequence.tokens[share.context : end], share.context, share.sequence.blocks)
