"""The tiny model's files. `tests/engines/vllm/real` reads them with the real tokenizer."""

import json
from pathlib import Path
from typing import Any

import pytest

from otel_llm.demo.vllm.model import CHARACTERS, write_model


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """What was written, by file name."""
    written = write_model(tmp_path / "new" / "model")
    return {path.name: json.loads(path.read_text()) for path in written.iterdir()}


def test_every_token_is_one_visible_character(files: dict[str, Any]) -> None:
    """The vocabulary is complete, and nothing in it is blank, special or made by merging."""
    vocabulary = files["tokenizer.json"]["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(files["config.json"]["vocab_size"]))
    assert {len(token) for token in vocabulary} == {1}
    assert all(token.isprintable() and not token.isspace() for token in vocabulary)
    assert set(vocabulary) == set(CHARACTERS)
    assert files["tokenizer.json"]["model"]["merges"] == []
    assert files["tokenizer.json"]["added_tokens"] == []


def test_no_token_ends_a_reply(files: dict[str, Any]) -> None:
    """The end token is switched off by name; Llama's default would be token 2."""
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        assert files["config.json"][key] is None
    assert files["generation_config.json"] == {}


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    """The same model each time."""
    before = {path.name: path.read_bytes() for path in write_model(tmp_path).iterdir()}
    assert {path.name: path.read_bytes() for path in write_model(tmp_path).iterdir()} == before
