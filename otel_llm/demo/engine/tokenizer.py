"""Byte-level tokenizer: a token is a byte of UTF-8, or one of four special tokens.

Sampling is limited to printable ASCII (see `sampling.py`), so each output token is one character.
"""

from collections.abc import Iterable, Sequence

BOS = 256
EOS = 257
ROLE = 258
END = 259
VOCAB_SIZE = 260
PRINTABLE = range(32, 127)


def encode(text: str) -> list[int]:
    """Tokens of a plain prompt, after a BOS token."""
    return [BOS, *text.encode()]


def encode_chat(messages: Iterable[tuple[str, str]]) -> list[int]:
    """Tokens of a conversation of (role, content), ending where the assistant is to speak."""
    tokens = [BOS]
    for role, content in messages:
        tokens += [ROLE, *f"{role}\n{content}".encode(), END]
    return [*tokens, ROLE, *b"assistant\n"]


def decode(tokens: Sequence[int]) -> str:
    """Text of tokens; special tokens have none."""
    return bytes(token for token in tokens if token < BOS).decode("utf-8", "replace")
