"""Nothing pages on a normal day, with the windows that are shipped."""

import subprocess
from pathlib import Path

import pytest

from otel_llm.alert_rules import build
from otel_llm.alert_rules.proof import normal
from otel_llm.alert_rules.proof.promtool import find

RULES = sorted((build.OUT / "rules").glob("*.yaml"))


def promtool(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a unit test file."""
    file = folder / "day.yaml"
    file.write_text(text, encoding="utf-8")
    command = [find(), "test", "rules", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.alerts
@pytest.mark.timeout(1800)
def test_a_normal_day(tmp_path: Path) -> None:
    """Day and night, noise and three deploys, all committed rules loaded: no page in 24 hours."""
    done = promtool(tmp_path, normal.promtool(build.load(), 0, RULES))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.alerts
@pytest.mark.timeout(900)
def test_the_day_is_no_day_on_which_nothing_can_fire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same day with deploys that fail three of four calls for ten minutes does page."""
    monkeypatch.setattr(normal, "DEPLOY_SHARE", 150.0)
    (availability,) = [slo for slo in build.load() if slo.name == "availability"]
    rules = [path for path in RULES if path.stem == "slo-availability"]
    done = promtool(tmp_path, normal.promtool([availability], 0, rules))
    assert done.returncode == 1
    assert 'severity=\\"critical\\"' in done.stderr, done.stderr
