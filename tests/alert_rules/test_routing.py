"""Alertmanager's configuration, read by its own amtool."""

import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from otel_llm.alert_rules import build, durations, routing
from otel_llm.alert_rules.proof.promtool import find
from otel_llm.alert_rules.routing import Receivers
from otel_llm.alert_rules.windows import SCRAPE_S

ALL = Receivers(
    pagerduty_key_file="/etc/key", slack_url_file="/etc/slack", webhook_url="http://127.0.0.1:1/",
    webhook_token_file="/etc/relay",
    drain_url="http://127.0.0.1:2/", drain_token_file="/etc/token",
    watchdog_url="https://deadman.example.com/x",
)  # fmt: skip
NAMES = {rule.name for rule in build.alerts(build.groups(build.load()))}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A configuration with every receiver, and the templates."""
    (tmp_path / "alertmanager.yml").write_text(routing.config(build.load(), ALL))
    shutil.copytree(routing.TEMPLATES, tmp_path / "templates")
    return tmp_path


def amtool(*arguments: str) -> str:
    """What amtool answers."""
    done = subprocess.run([find("amtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.alerts
@pytest.mark.parametrize("receivers", [Receivers(), ALL])
def test_amtool_accepts_it(tmp_path: Path, receivers: Receivers) -> None:
    """With no receiver and with all of them, templates included."""
    (tmp_path / "alertmanager.yml").write_text(routing.config(build.load(), receivers))
    shutil.copytree(routing.TEMPLATES, tmp_path / "templates")
    assert "SUCCESS" in amtool("check-config", str(tmp_path / "alertmanager.yml"))


@pytest.mark.alerts
@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"alertname": "Watchdog", "severity": "none"}, "watchdog"),
        ({"alertname": "AvailabilityBurn", "severity": "critical"}, "page"),
        ({"alertname": "AvailabilityBurn", "severity": "warning"}, "ticket"),
        ({"alertname": "GpuFatalXid", "severity": "critical"}, "drain,page"),
        ({"alertname": "GpuLost", "severity": "critical"}, "drain,page"),
        ({"alertname": "GpuApplicationXid", "severity": "info"}, "none"),
        ({"alertname": "NvLinkErrors", "severity": "warning"}, "ticket"),
    ],
)
def test_routes(folder: Path, labels: dict[str, str], receivers: str) -> None:
    """Pages page, tickets are tickets, fatal GPU alerts reach the drain hook and people."""
    told = [f"{label}={value}" for label, value in labels.items()]
    file = str(folder / "alertmanager.yml")
    assert amtool("config", "routes", "test", f"--config.file={file}", *told).strip() == receivers


def test_inhibitions_name_alerts_that_exist() -> None:
    """A renamed alert would silently stop to be inhibited."""
    for rule in routing.inhibitions(build.load()):
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, _, values = matcher.replace("=~", "=").partition("=")
            if label == "alertname":
                assert set(values.split("|")) <= NAMES, values


def test_a_page_silences_the_ticket_of_its_own_budget_alone() -> None:
    """Budgets kept by tenant: one tenant's page says nothing of another's ticket."""
    (slo,) = [one for one in build.load() if one.name == "availability"]
    rules = routing.inhibitions([msgspec.structs.replace(slo, by=["tenant"])])
    (page,) = [rule for rule in rules if rule["source_matchers"] == ["severity=critical"]]
    assert page["equal"] == ["alertname", "slo", "tenant"]
    assert all(rule["target_matchers"][0].split("=~")[1] for rule in rules)
    everything = routing.inhibitions(build.load())[-1]["equal"]
    assert {label for one in build.load() for label in one.by} <= set(everything)


def test_no_page_is_silenced_by_a_ticket() -> None:
    """Only pages silence, and no inhibition silences a GPU that is gone or a dead engine."""
    severity = {
        rule.name: rule.labels["severity"] for rule in build.alerts(build.groups(build.load()))
    }
    for rule in routing.inhibitions(build.load()):
        (source,), (target,) = rule["source_matchers"], rule["target_matchers"]
        if source.startswith("alertname"):
            for name in source.partition("=")[2].lstrip("~").split("|"):
                assert severity[name] == "critical", name
        for name in ("GpuLost", "GpuFatalXid", "EngineDead", "AgentDown", "GatewayDown"):
            assert name not in target.split("=~")[-1].split("|")


@pytest.mark.parametrize(
    ("name", "counted_s"),
    [
        ("EngineDead", 0), ("EngineDown", 0), ("StepsStuck", 45), ("AgentDown", 0),
        ("GatewayDown", 0), ("GpuFatalXid", 0), ("GpuLost", 0),
    ],
)  # fmt: skip
def test_told_within_two_minutes(name: str, counted_s: float) -> None:
    """At the planned scrapes, even if all comes at the worst time.

    A scrape and an evaluation are just missed, the rule waits for whole evaluations, and
    Alertmanager for company.
    """
    (rule,) = [one for one in build.alerts(build.groups(build.load())) if one.name == name]
    assert f"> {counted_s:g}" in rule.expr or not counted_s
    assert rule.labels["severity"] == "critical"
    waited_s = math.ceil(rule.for_s / SCRAPE_S) * SCRAPE_S
    routes = yaml.safe_load(routing.config(build.load(), ALL))["route"]["routes"]
    (page,) = [route for route in routes if route["receiver"] == "page"]
    wait_s = durations.seconds(page["group_wait"])
    assert counted_s + 2 * SCRAPE_S + waited_s + wait_s <= 120


def test_secrets_stay_in_files() -> None:
    """The configuration names files, never a secret."""
    text = routing.config(build.load(), ALL)
    keys = {"routing_key_file", "api_url_file", "credentials_file"}
    assert all(key in text for key in keys)
    assert not {"routing_key:", "api_url:", "credentials:"} & set(text.split())


def test_committed_configuration() -> None:
    """The example in deploy/ is what the command writes without options."""
    committed = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"
    assert committed.read_text() == routing.config(build.load(), Receivers())
    assert yaml.safe_load(committed.read_text())["route"]["receiver"] == "none"
