"""The Helm chart: rendered by Helm's own engine, typed by Kubernetes' own types, and as committed.

After a change: `GOLDEN=write make test-collector ARGS="tests/deploy/helm"`, and look at
the difference.
"""

import difflib
import hashlib
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_llm.settings import PREFIX, Settings

pytestmark = [pytest.mark.go, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy" / "helm" / "otel-llm"
PROGRAM = ROOT / "tests" / "go" / "chart"
GOLDEN = Path(__file__).parent / "golden"
CASES = {"default": None, "all": CHART / "ci" / "all.yaml", "least": CHART / "ci" / "least.yaml"}


@pytest.fixture(scope="session")
def chart() -> Path:
    """The program that renders and checks, built once for its sources."""
    parts = [(PROGRAM / name).read_bytes() for name in ("main.go", "go.mod", "go.sum")]
    key = hashlib.sha256(b"".join(parts)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otel-llm"
    built = cache / f"chart-{key}" / "chart"
    if not built.exists():
        environment = {**os.environ, "GOFLAGS": "-p=1 -buildvcs=false"}
        command = ["nice", "-n", "19", "go", "build", "-o", f"{built}.new", "."]
        subprocess.run(command, cwd=PROGRAM, env=environment, check=True)
        Path(f"{built}.new").rename(built)
    return built


def rendered(chart: Path, values: Path | None) -> str:
    """What `helm template otel-llm --namespace llm` would print, each document checked."""
    command = [chart, CHART, "otel-llm", "llm", *([values] if values else [])]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def documents(chart: Path, case: str) -> list[dict[str, Any]]:
    """The documents of a case."""
    return [found for found in yaml.safe_load_all(rendered(chart, CASES[case])) if found]


def containers(chart: Path, case: str) -> list[dict[str, Any]]:
    """All containers of a case."""
    pods = [
        found["spec"]["template"]["spec"]
        for found in documents(chart, case)
        if "template" in found.get("spec", {})
    ]
    return [each for pod in pods for each in [*pod.get("initContainers", []), *pod["containers"]]]


@pytest.mark.parametrize("case", CASES)
def test_the_chart_is_as_committed(chart: Path, case: str) -> None:
    """A change of what is installed is seen in review, as what will be installed."""
    text = _without_files(rendered(chart, CASES[case]))
    golden = GOLDEN / f"{case}.yaml"
    if os.environ.get("GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    expected = golden.read_text().splitlines()
    assert text.splitlines() == expected, "\n".join(
        difflib.unified_diff(expected, text.splitlines(), lineterm="")
    )


def _without_files(text: str) -> str:
    """Without files that another test compares, and without their hash."""
    other = ("collector-config.yaml", "kind: PrometheusRule", "grafana_dashboard:")
    parts = text.split("---\n# Source: ")
    kept = [part for part in parts if not any(one in part for one in other)]
    return re.sub(r"(checksum/config: )\w+", r"\1…", "---\n# Source: ".join(kept))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ("clickhouse: {url: 'https://user:secret@host'}", "url"),
        ("images: {collector: {repository: x, tag: latest}}", "tag"),
        ("gateway: {replicas: 0}", "replicas"),
        ("gateway: {replica: 2}", "replica"),
        ("agent: {resources: {limits: {memory: null}}}", "memory"),
    ],
)
def test_wrong_values_are_refused(chart: Path, tmp_path: Path, values: str, named: str) -> None:
    """The values' schema refuses misspelled and harmful values, and names them."""
    file = tmp_path / "values.yaml"
    file.write_text(values)
    command = [chart, CHART, "otel-llm", "llm", file]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert named in ran.stderr


def test_a_wrong_field_is_noticed(chart: Path, tmp_path: Path) -> None:
    """The check of types sees a field that Kubernetes does not have."""
    file = tmp_path / "x.yaml"
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {clusterIPP: None}\n"
    file.write_text(text)
    assert subprocess.run([chart, "check", file], capture_output=True, check=False).returncode == 1
    file.write_text(text.replace("IPP", "IP"))
    assert subprocess.run([chart, "check", file], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", ["engine.yaml", "engine-with-sidecar.yaml"])
def test_examples_are_typed(chart: Path, name: str) -> None:
    """The examples hold fields that Kubernetes has."""
    command = [chart, "check", CHART.parent / "examples" / name]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_files_of_the_collector_are_those_of_deploy(chart: Path) -> None:
    """Byte for byte, so that what the tests of the collector show holds in Kubernetes."""
    found = {each["metadata"]["name"]: each for each in documents(chart, "default")}
    held = found["otel-llm-collector"]["data"]
    for name in ("agent.yaml", "agent-kubernetes.yaml", "gateway.yaml", "gateway-sampling.yaml"):
        assert held[name] == (ROOT / "deploy" / "collector" / name).read_text()


def test_rules_are_those_of_alert_rules(chart: Path) -> None:
    """Each generated file is one PrometheusRule with the same groups."""
    rules = ROOT / "alert_rules" / "generated" / "rules"
    expected = {f"otel-llm-{path.stem.replace('_', '-')}": path for path in rules.glob("*.yaml")}
    found = {
        each["metadata"]["name"]: each["spec"]
        for each in documents(chart, "all")
        if each["kind"] == "PrometheusRule"
    }
    assert expected
    assert found == {name: yaml.safe_load(path.read_text()) for name, path in expected.items()}


def test_dashboards_are_those_of_dashboards(chart: Path) -> None:
    """Each generated board is one ConfigMap that Grafana's sidecar finds, byte for byte."""
    boards = sorted((ROOT / "dashboards" / "generated").glob("*.json"))
    held = [
        each["data"]
        for each in documents(chart, "all")
        if "grafana_dashboard" in each["metadata"]["labels"]
    ]
    assert boards
    assert sorted(map(str, held)) == sorted(str({path.name: path.read_text()}) for path in boards)


@pytest.mark.parametrize("case", CASES)
def test_containers_are_bounded_and_closed(chart: Path, case: str) -> None:
    """Each has a limit of memory, no capability beyond those of directories, and a fixed image."""
    found = containers(chart, case)
    assert found
    for container in found:
        assert "memory" in container["resources"]["limits"], container["name"]
        held = container["securityContext"]
        assert held["readOnlyRootFilesystem"]
        assert not held["allowPrivilegeEscalation"]
        assert held["capabilities"]["drop"] == ["ALL"]
        assert ":" in container["image"]


@pytest.mark.parametrize("case", CASES)
def test_no_secret_stands_in_a_document(chart: Path, case: str) -> None:
    """Tokens and passwords come from Secrets by name."""
    for container in containers(chart, case):
        for variable in container.get("env", []):
            if variable["name"].endswith(("TOKEN", "PASSWORD")):
                assert "secretKeyRef" in variable["valueFrom"]


@pytest.mark.parametrize("case", CASES)
def test_settings_are_those_that_there_are(chart: Path, case: str) -> None:
    """A setting that was renamed is noticed here, not in a cluster."""
    known = {PREFIX + field.upper() for field in Settings.__struct_fields__}
    named = {
        variable["name"]
        for container in containers(chart, case)
        for variable in container.get("env", [])
        if variable["name"].startswith(PREFIX)
    }
    assert named <= known


def test_agents_know_each_gateway_by_name(chart: Path) -> None:
    """As many names as replicas, of the headless service."""
    [gateways] = [
        variable["value"]
        for container in containers(chart, "all")
        for variable in container.get("env", [])
        if variable["name"] == "GATEWAYS"
    ]
    names = [f"otel-llm-gateway-{n}.otel-llm-gateway.llm.svc:4317" for n in range(3)]
    assert yaml.safe_load(gateways) == names
