"""`otel-llm alerts`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_build_and_check(run: "Run", tmp_path: Path) -> None:
    """What is built is current; what was changed by hand is not, and check says which."""
    out = str(tmp_path / "out")
    built = run("alerts", "build", "--out", out)
    assert built.exit_code == 0
    assert "promtool check rules" in built.stderr
    assert run("alerts", "check", "--out", out).exit_code == 0
    changed = tmp_path / "out" / "rules" / "health-gpu.yaml"
    changed.write_text(changed.read_text().replace("== 1", "== 2", 1))
    found = run("alerts", "check", "--out", out)
    assert found.exit_code == 1
    assert f"Out of date: {changed}" in found.stdout
    told = json.loads(run("alerts", "check", "--out", out, "--json").stdout)
    assert told["stale"] == [str(changed)]


def test_a_wrong_spec(run: "Run", tmp_path: Path) -> None:
    """A wrong objective ends the command with one line: file, line, remedy."""
    spec = tmp_path / "bad.yaml"
    spec.write_text("name: x\ntitle: X\nobjective: 101\nindicator: {kind: ratio}\n")
    done = run("alerts", "build", "--specs", str(spec), "--out", str(tmp_path / "o"))
    assert done.exit_code == 1
    assert done.stderr.startswith(f"otel-llm: {spec}:4: ")
    assert not (tmp_path / "o").exists()


def test_explain_an_objective(run: "Run") -> None:
    """At half of all calls bad, the fast burn of 99.5 % needs 518 s and its `for`."""
    text = run("alerts", "explain", "availability", "--error-share", "0.5").stdout
    assert "critical  after    638 s  above 7.2 % in 1h and 5m (14.4 x, 2 % of the budget)" in text
    told = json.loads(
        run("alerts", "explain", "AvailabilityBurn", "--error-share", "0.02", "--json").stdout
    )
    assert [burn["least_detection_s"] for burn in told["burns"]] == [None, None, 64800.0, 64800.0]


def test_explain_what_is_not_there(run: "Run", tmp_path: Path) -> None:
    """A value has no guard of events; an objective that alerts nobody says so."""
    assert "guard    none:" in run("alerts", "explain", "energy-per-token").stdout
    spec = tmp_path / "slo.yaml"
    spec.write_text(
        "name: answered\ntitle: A\nobjective: 99\nindicator: {kind: ratio, "
        "metric: otel_llm_gateway_calls_total, bad: [{outcome: shed}]}\n"
    )
    done = run("alerts", "explain", "AnsweredNoData", "--specs", str(spec))
    assert done.stderr.strip() == "Next: otel-llm alerts runbook ObjectiveNoData"
    spec.write_text(f"{spec.read_text()}alerts: false\n")
    told = run("alerts", "explain", "answered", "--specs", str(spec)).stdout
    assert told.endswith("It is recorded, and alerts nobody.\n")
    stale = run("alerts", "check", "--out", str(tmp_path / "o"), "--specs", str(spec))
    assert stale.stderr.strip().endswith(f"--out {tmp_path / 'o'} --specs {spec}")


def test_explain_an_alert(run: "Run") -> None:
    """A health alert shows its expression and its runbook; an unknown name is answered with all."""
    done = run("alerts", "explain", "GpuLost")
    assert 'hw_status{hw_state="failed"} == 1' in done.stdout
    assert "otel-llm alerts runbook GpuLost" in done.stderr
    unknown = run("alerts", "explain", "Nothing")
    assert unknown.exit_code == 1
    assert "GpuLost" in unknown.stderr


def test_runbook(run: "Run") -> None:
    """It is printed as it is; a wrong name is answered with the nearest."""
    done = run("alerts", "runbook", "GpuLost")
    assert done.stdout.startswith("# GpuLost\n\n## Meaning\n")
    wrong = run("alerts", "runbook", "GpuLots")
    assert wrong.exit_code == 1
    assert wrong.stderr.strip().endswith("There is no alert 'GpuLots'. Perhaps: GpuLost.")


def test_where_boards_are(run: "Run", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Grafana's address an alert leads to its board; a wrong address is refused."""
    monkeypatch.setenv("OTEL_LLM_BOARDS_URL", "https://grafana.example.com/")
    assert run("alerts", "build", "--out", str(tmp_path)).exit_code == 0
    text = (tmp_path / "rules" / "health-gpu.yaml").read_text()
    assert "board_url: https://grafana.example.com/d/otel-llm-gpu{{ with $labels.model }}" in text
    refused = run("alerts", "build", "--out", str(tmp_path), "--boards", "grafana")
    assert refused.exit_code == 1
    assert "boards_url" in refused.stderr


def test_where_runbooks_are(run: "Run", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting and the option put an address into every alert; without, none is made up."""

    def built(*options: str) -> str:
        assert run("alerts", "build", "--out", str(tmp_path), *options).exit_code == 0
        return (tmp_path / "rules" / "health-gpu.yaml").read_text()

    text = built()
    assert "runbook: otel-llm alerts runbook GpuLost\n" in text
    assert "://" not in text.replace(text.splitlines()[0], "")
    monkeypatch.setenv("OTEL_LLM_RUNBOOKS_URL", "https://wiki/pages/")
    assert "runbook_url: https://wiki/pages/GpuLost.md\n" in built()
    assert "runbook_url: https://other/GpuLost.md\n" in built("--runbooks", "https://other")
    assert run("alerts", "check", "--out", str(tmp_path)).exit_code == 1
    refused = run("alerts", "build", "--out", str(tmp_path), "--runbooks", "wiki")
    assert refused.exit_code == 1


@pytest.mark.parametrize("option", ["--webhook-url", "--drain-url", "--watchdog-url"])
def test_an_address_that_is_none(run: "Run", tmp_path: Path, option: str) -> None:
    """Alertmanager would not start with it, so nothing is written."""
    refused = run("alerts", "receivers", "--out", str(tmp_path / "am"), option, "pager")
    assert refused.exit_code == 1
    assert f"{option}: 'pager' is not the URL" in refused.stderr
    assert not (tmp_path / "am").exists()
