"""Rules as files."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_llm.alert_rules import build, catalogue, render
from otel_llm.alert_rules.burn import Burn
from otel_llm.alert_rules.model import Latency, Part, Ratio, Slo, Value, Without
from otel_llm.alert_rules.pages import Addresses
from otel_llm.alert_rules.windows import Pair
from otel_llm.conventions.boards import BOARDS

SEVERITIES = {"critical", "warning", "info", "none"}
# Silly numbers, so that a mixed-up field cannot pass.
PAIRS = (Pair("critical", 0.013, 66_000, 10_980, 77, 2_592_000),)


def slo(**changes: object) -> Slo:
    """An objective with a latency."""
    indicator = Latency("otel_llm_gateway_ttft_caller_seconds", "1s")
    values: dict[str, Any] = {
        "name": "first", "title": "First", "objective": 97, "indicator": indicator, "by": ["model"],
    }  # fmt: skip
    return Slo(**{**values, **changes})


def rules(one: Slo) -> dict[str, str]:
    """Expressions of an objective's recordings by name."""
    groups = Burn(one, PAIRS, 30).groups()
    return {rule.name: rule.expr for group in groups for rule in group.rules}


def test_a_latency() -> None:
    """Bad is what is not in the bucket of the threshold, however its bound is written."""
    assert rules(slo())["slo:sli_bad:rate183m"] == (
        "sum by (model) (rate(otel_llm_gateway_ttft_caller_seconds_count[183m]))\n-\n"
        "sum by (model) (rate(otel_llm_gateway_ttft_caller_seconds_bucket"
        '{le=~"1(\\\\.0)?"}[183m]))'
    )


def test_a_model_of_the_genai_conventions() -> None:
    """`gen_ai_request_model` is kept as `model`, like everybody else's."""
    one = slo(indicator=Latency("gen_ai_server_time_per_output_token_seconds", "0.05s"))
    assert rules(one)["slo:sli_total:rate183m"] == (
        "sum by (model) (label_replace(rate(gen_ai_server_time_per_output_token_seconds_count"
        '[183m]), "model", "$1", "gen_ai_request_model", "(.*)"))'
    )


def test_a_ratio() -> None:
    """A bad series that does not exist yet is none, not unknown."""
    bad = [{"outcome": "shed", "status_code": Without(["404"])}]
    one = slo(indicator=Ratio("otel_llm_gateway_calls_total", bad, {"route": ["a", "b"]}))
    total = 'sum by (model) (rate(otel_llm_gateway_calls_total{route=~"a|b"}[183m]))'
    assert rules(one)["slo:sli_total:rate183m"] == total
    assert rules(one)["slo:sli_bad:rate183m"] == (
        'sum by (model) (rate(otel_llm_gateway_calls_total{route=~"a|b",outcome="shed",'
        f'status_code!~"404"}}[183m])) or {total} * 0'
    ).join("()")


def test_a_value() -> None:
    """A moment is bad while the value is above its bound; moments without traffic do not count."""
    indicator = Value(Part("hw_energy_joules_total"), Part("otel_llm_tokens_total"), 5)
    made = rules(slo(indicator=indicator, by=["instance"]))
    assert made["slo:sli_bad:rate183m"].endswith("> bool 5")
    assert "> 0)" in made["slo:sli_total:rate183m"]
    assert "FirstNoData" not in made


def test_the_alert() -> None:
    """Both windows above factor times budget, and enough bad events for somebody to wake up."""
    (burn, no_data) = Burn(slo(least_bad_events=9), PAIRS, 30).groups()[-1].rules
    factor = 0.013 * 2_592_000 / 66_000
    assert burn.expr == (
        f'slo:sli_error:ratio_rate1100m{{slo="first"}} > {factor * 0.03:.6g}\nand\n'
        f'slo:sli_error:ratio_rate183m{{slo="first"}} > {factor * 0.03:.6g}\nand\n'
        'slo:sli_bad:rate1100m{slo="first"} * 66000 >= 9'
    )
    assert (burn.name, burn.for_s, burn.labels["severity"]) == ("FirstBurn", 90, "critical")
    assert (no_data.name, no_data.for_s) == ("FirstNoData", 900)


def test_no_page() -> None:
    """Without pages only tickets are left; without alerts, recordings alone."""
    assert [rule.name for rule in Burn(slo(page=False), PAIRS, 30).groups()[-1].rules] == [
        "FirstNoData"
    ]
    assert len(Burn(slo(alerts=False), PAIRS, 30).groups()) == 2


def test_conventions() -> None:
    """Every alert has a severity, a category, what it says, a board that is, and a runbook."""
    made = build.files(build.load(), to=Addresses("https://r", "https://g"))
    for name, text in made.items():
        if not name.startswith("rules/"):
            continue
        for group in yaml.safe_load(text)["groups"]:
            for rule in group["rules"]:
                if "alert" not in rule:
                    continue
                assert rule["labels"]["severity"] in SEVERITIES
                assert rule["labels"]["category"] in {"slo", "gpu", "engine", "gateway", "stack"}
                assert {"summary", "description"} <= set(rule["annotations"])
                board = rule["annotations"]["board"]
                assert board in BOARDS
                assert rule["annotations"]["board_url"].startswith(
                    f"https://g/d/otel-llm-{board}{{{{ with $labels.model }}}}?var-model="
                )
                assert rule["annotations"]["runbook_url"] == f"https://r/{rule['alert']}.md"


def test_manifests_hold_the_same_groups() -> None:
    """A PrometheusRule is the rule file in an envelope that the operator selects."""
    made = build.files(build.load())
    for name, text in made.items():
        if name.startswith("manifests/"):
            manifest = yaml.safe_load(text)
            assert manifest["kind"] == "PrometheusRule"
            assert manifest["metadata"]["labels"] == render.MANIFEST_LABELS
            rules_text = made[name.replace("manifests/", "rules/")]
            assert manifest["spec"] == yaml.safe_load(rules_text)


def test_names_are_unique() -> None:
    """No two groups share a name: Prometheus would show one in the other's place."""
    groups = [group for parts in build.groups(build.load()).values() for group in parts]
    assert not [name for name, count in Counter(g.name for g in groups).items() if count > 1]


def test_committed_files_are_current() -> None:
    """The committed files are what the specs say."""
    assert build.stale(build.OUT, build.files(build.load())) == []


def test_left_over_files_go(tmp_path: Path) -> None:
    """A file whose spec is gone is removed, one of somebody else's stays."""
    made = build.files([slo()])
    build.write(tmp_path, made)
    assert build.stale(tmp_path, made) == []
    (tmp_path / "rules" / "mine.yaml").write_text("groups: []\n")
    old = tmp_path / "rules" / "slo-old.yaml"
    old.write_text(render.HEAD)
    assert build.stale(tmp_path, made) == [old]
    build.write(tmp_path, made)
    assert not old.exists()
    assert (tmp_path / "rules" / "mine.yaml").exists()


@pytest.mark.parametrize(
    "source", ["vllm", "sglang", "tensorrt_llm", "tgi", "ray_serve", "litellm", "envoy"]
)
def test_sources(source: str) -> None:
    """Each engine's rules name themselves; bounds of milliseconds become seconds."""
    (group,) = build.groups([slo()])[f"normalise-{source}"]
    assert all(rule.labels["source"] == source for rule in group.rules)
    if source in ("envoy", "ray_serve"):
        bounds = {rule.labels["le"] for rule in group.rules if "le" in rule.labels}
        assert {"0.5", "1", "10"} <= bounds


@pytest.mark.parametrize("source", ["litellm", "ray_serve"])
def test_every_answer_is_counted_once(source: str) -> None:
    """A status code that no pattern matches would be missing in the denominator."""
    natives = catalogue.sources()[source].signals["requests"]
    for code in range(200, 600):
        told = [one.set["outcome"] for one in natives
                if re.fullmatch(one.only["status_code"], str(code))]  # fmt: skip
        assert len(told) == 1, (code, told)


@pytest.mark.parametrize("source", ["vllm", "sglang", "tensorrt_llm"])
def test_engines_tell_every_latency(source: str) -> None:
    """Without our agent, objectives on the first token, each token, the whole and the queue."""
    assert {"ttft", "tpot", "duration", "queue_time"} <= {*catalogue.sources()[source].signals}
