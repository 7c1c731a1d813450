"""The shape of a served model: what its configuration tells, and what work is reckoned from."""

import msgspec


class ServedShape(msgspec.Struct, frozen=True):
    """A decoder-only transformer. Numbers are at least 1; bytes may be parts of one.

    Attributes:
        layers: how many.
        hidden: width.
        heads: attention heads.
        kv_heads: heads of keys and values.
        head_dim: width of a head.
        ffn: width of the feed-forward part, of one expert where there are several.
        vocab: tokens it knows.
        weight_bytes: bytes of one weight, for example 2 for bfloat16, 0.5 for four bits.
        kv_bytes: bytes of one number in the KV cache.
        experts: experts per layer; 1 for a dense model.
        active_experts: of those, how many serve one token.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    weight_bytes: float = 2.0
    kv_bytes: float = 2.0
    experts: int = 1
    active_experts: int = 1

    @property
    def is_sound(self) -> bool:
        """Whether every number can be one of a model; a journal's header may say anything."""
        whole = (
            self.layers, self.hidden, self.heads, self.kv_heads, self.head_dim, self.ffn,
            self.vocab, self.experts, self.active_experts,
        )  # fmt: skip
        parts = (self.weight_bytes, self.kv_bytes)
        return all(1 <= one <= 1 << 24 for one in whole) and all(0.1 <= one <= 16 for one in parts)

    @property
    def flops_per_token(self) -> float:
        """Multiplications and additions of all matrices for one token, attention's scores apart."""
        expert = 3 * self.hidden * self.ffn
        layer = self._attention_weights + expert * self.active_experts
        return 2.0 * (self.layers * layer + self.hidden * self.vocab)

    @property
    def flops_per_pair(self) -> float:
        """Of scores and values, for one token that attends to one token."""
        return 4.0 * self.layers * self.heads * self.head_dim

    @property
    def weights(self) -> float:
        """Bytes read once per step for a batch that reaches every expert."""
        layer = self._attention_weights + 3 * self.hidden * self.ffn * self.experts
        return self.weight_bytes * (self.layers * layer + self.hidden * self.vocab)

    @property
    def kv_per_token(self) -> float:
        """Bytes of keys and values of one token."""
        return 2.0 * self.layers * self.kv_heads * self.head_dim * self.kv_bytes

    @property
    def _attention_weights(self) -> int:
        queries = self.hidden * self.heads * self.head_dim
        return 2 * queries + 2 * self.hidden * self.kv_heads * self.head_dim
