"""`otel-llm drain`."""

from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_the_next_step_names_the_token(
    run: "Run", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its token Alertmanager would be refused by the hook."""
    monkeypatch.setattr("uvicorn.run", MagicMock())
    token = tmp_path / "token"
    token.write_text("t" * 16)
    done = run("drain", "--token-file", str(token), "--port", "1234")
    assert done.exit_code == 0
    assert done.stderr.strip().endswith(
        f"--drain-url http://127.0.0.1:1234/drain --drain-token-file {token}"
    )
    assert "Draining dry" in done.stderr
