"""The tiny model's tokenizer as vLLM reads it: a character is a token, a token a character."""

import random
from pathlib import Path

import pytest
from tokenizers.decoders import DecodeStream
from transformers import AutoConfig, GenerationConfig, PreTrainedTokenizerFast
from vllm.tokenizers import get_tokenizer

from otel_llm.demo.vllm.model import CHARACTERS, write_model

EVERY = range(len(CHARACTERS))


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's directory."""
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tokenizer(model_dir: Path) -> PreTrainedTokenizerFast:
    """The tokenizer that vLLM makes of it."""
    return get_tokenizer(str(model_dir))


def test_any_tokens_decode_to_as_many_characters(tokenizer: PreTrainedTokenizerFast) -> None:
    """At once and one by one, as vLLM does; and the text gives the same tokens again."""
    rng = random.Random(1)
    for _ in range(50):
        tokens = rng.choices(EVERY, k=100)
        prompt = rng.choices(EVERY, k=10)
        text = "".join(CHARACTERS[token] for token in tokens)
        assert tokenizer.decode(tokens, skip_special_tokens=True) == text
        stream = DecodeStream(ids=prompt, skip_special_tokens=True)
        assert [stream.step(tokenizer._tokenizer, token) for token in tokens] == list(text)
        assert tokenizer.encode(text) == tokens


@pytest.mark.parametrize("text", ["hello, world", "two  blanks\n and lines", "é ☃ \U0001f600", ""])
def test_a_prompt_has_as_many_tokens_as_characters(
    tokenizer: PreTrainedTokenizerFast, text: str
) -> None:
    """Whatever is in it; nothing is put before or after it."""
    assert len(tokenizer.encode(text)) == len(text)


def test_a_conversation_ends_where_the_assistant_speaks(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    """The template counts by characters too."""
    messages = [{"role": "user", "content": "hey you"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "user:hey you;assistant:"


def test_nothing_is_special(tokenizer: PreTrainedTokenizerFast, model_dir: Path) -> None:
    """No token is skipped, and none ends a reply."""
    assert tokenizer.all_special_ids == []
    assert AutoConfig.from_pretrained(model_dir).eos_token_id is None
    assert GenerationConfig.from_pretrained(model_dir).eos_token_id is None
