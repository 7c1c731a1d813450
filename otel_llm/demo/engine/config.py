"""What an engine is made of: the model's shape, the scheduler's limits, the server's identity."""

from dataclasses import dataclass, field

from otel_llm.demo.engine.tokenizer import VOCAB_SIZE
from otel_llm.facts.shape import ServedShape


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the decoder. The defaults decode a batch of 32 in a few ms on one core.

    Attributes:
        layers: decoder layers.
        dim: width of the residual stream.
        heads: query heads.
        kv_heads: key and value heads; `heads` must be a multiple of it.
        head_dim: width of one head; even, for the rotation.
        ffn: inner width of the SwiGLU block.
        rope_theta: base of the rotary frequencies.
        norm_eps: added to the mean square in RMSNorm.
        seed: seed of the random weights; same seed, same model.
    """

    layers: int = 4
    dim: int = 128
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    ffn: int = 256
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    seed: int = 0

    @property
    def shape(self) -> ServedShape:
        """As its telemetry tells it; weights and cache are float32."""
        return ServedShape(
            self.layers, self.dim, self.heads, self.kv_heads, self.head_dim, self.ffn, VOCAB_SIZE,
            weight_bytes=4.0, kv_bytes=4.0,
        )  # fmt: skip


@dataclass(frozen=True)
class SchedulerConfig:
    """Limits of the scheduler and its KV cache.

    Attributes:
        token_budget: most tokens in one step, over all sequences.
        max_running: most sequences in one step.
        max_waiting: most sequences waiting for their first step; more are shed.
        blocks: KV-cache blocks there are.
        block_size: tokens per block.
        max_model_len: most tokens of one sequence, prompt and output together.
    """

    token_budget: int = 256
    max_running: int = 32
    max_waiting: int = 64
    blocks: int = 1024
    block_size: int = 16
    max_model_len: int = 2048

    def __post_init__(self) -> None:
        """Refuse limits under which a sequence could never finish.

        Raises:
            ValueError: a limit is below 1, or one sequence does not fit in the KV cache.
        """
        for name, value in vars(self).items():
            if value < 1:
                message = f"{name} is {value}: must be at least 1"
                raise ValueError(message)
        if self.max_model_len > self.blocks * self.block_size:
            message = (
                f"max_model_len is {self.max_model_len}: must fit in the KV cache of "
                f"{self.blocks} blocks x {self.block_size} tokens; raise blocks or lower it"
            )
            raise ValueError(message)


@dataclass(frozen=True)
class EngineConfig:
    """One engine.

    Attributes:
        name: the engine's name (`service.name`).
        model_name: the name that requests ask for.
        model: shape of the model.
        scheduler: limits of the scheduler.
        devices: ids of devices that it is taken to run on. It computes on the CPU: with these the
            energy of another device, a replayed one, is shared out as if it ran there.
    """

    name: str = "engine"
    model_name: str = "reference-4l"
    model: ModelConfig = field(default_factory=ModelConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    devices: tuple[str, ...] = ()
