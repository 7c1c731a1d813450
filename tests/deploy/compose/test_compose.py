"""The Compose file: pinned, healthy, and with the variables that the configurations ask for."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_llm.settings import PREFIX, Settings

COMPOSE = Path(__file__).parents[3] / "deploy" / "compose"
COLLECTOR = COMPOSE.parent / "collector"
LOADER = COMPOSE.parents[1] / "tests" / "go" / "compose"
FILE: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_versions_are_pinned(name: str) -> None:
    """Each image has a version of three numbers."""
    assert re.search(r":\d+\.\d+\.\d+$", SERVICES[name]["image"])


def test_bases_of_our_images_are_pinned() -> None:
    """So have the images that ours are made from."""
    for file in COMPOSE.glob("Dockerfile.*"):
        for image in re.findall(r"^FROM (\S+)", file.read_text(), re.MULTILINE):
            assert re.search(r":\d+\.\d+\.\d+", image), file


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "schema"])
def test_a_service_that_stays_has_a_health_check(name: str) -> None:
    """`up --wait` waits for what serves, not for what was started."""
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_who_waits_for_whom_is_there() -> None:
    """Each dependency names a service, and the condition fits it."""
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            ends = SERVICES[name].get("restart") == "no"
            wanted = "service_completed_successfully" if ends else "service_healthy"
            assert how["condition"] == wanted


@pytest.mark.parametrize("name", ["gateway", "agent-collector"])
def test_a_collector_has_the_variables_its_files_ask_for(name: str) -> None:
    """What has no default in the configuration is in the environment, and nothing else is."""
    service = SERVICES[name]
    files = [part for part in service["command"] if part.endswith(".yaml")]
    text = "".join((COLLECTOR / Path(file).name).read_text() for file in files)
    asked = set(re.findall(r"\$\{env:(\w+)\}", text))
    known = set(re.findall(r"\$\{env:(\w+)", text))
    assert asked <= set(service["environment"]) <= known


@pytest.mark.parametrize("name", ["schema", "agent"])
def test_settings_are_those_that_there_are(name: str) -> None:
    """A setting that was renamed is noticed here."""
    known = {PREFIX + field.upper() for field in Settings.__struct_fields__}
    assert set(SERVICES[name]["environment"]) <= known


def test_secrets_are_asked_for() -> None:
    """No secret has a default; the example leaves each empty."""
    text = (COMPOSE / "compose.yaml").read_text()
    example = (COMPOSE / "env.example").read_text()
    for secret in ("CLICKHOUSE_PASSWORD", "OTLP_TOKEN", "GATEWAY_TOKEN"):
        assert f"${{{secret}:?" in text
        assert f"\n{secret}=\n" in example


def test_volumes_are_declared() -> None:
    """A volume by name is one of the file's."""
    named = {mount.split(":")[0] for each in SERVICES.values() for mount in each.get("volumes", [])}
    assert {name for name in named if not name.startswith((".", "/"))} == set(FILE["volumes"])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_certificates_are_made_once(tmp_path: Path) -> None:
    """They verify for the gateway's name, no authority's key stays, nothing is replaced."""
    shutil.copy(COMPOSE / "certificates", tmp_path)
    subprocess.run([tmp_path / "certificates"], check=True, capture_output=True)
    made = tmp_path / "certificates.d"
    assert {path.name for path in made.iterdir()} == {"ca.pem", "gateway.pem", "gateway-key.pem"}
    check = ["openssl", "verify", "-verify_hostname", "gateway", "-CAfile", made / "ca.pem"]
    subprocess.run([*check, made / "gateway.pem"], check=True, capture_output=True)
    before = (made / "gateway.pem").read_bytes()
    again = subprocess.run([tmp_path / "certificates"], check=False, capture_output=True)
    assert again.returncode == 1
    assert (made / "gateway.pem").read_bytes() == before


SECRETS = dict.fromkeys(
    ["CLICKHOUSE_PASSWORD", "OTLP_TOKEN", "GATEWAY_TOKEN", "CLICKHOUSE_READ_PASSWORD",
     "GRAFANA_PASSWORD"], "x",
)  # fmt: skip


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compose's own loader, with its schema; what Go says as it fetches and builds is not its."""
    program = tmp_path_factory.mktemp("compose") / "loader"
    environment = os.environ | {"GOFLAGS": "-p=1 -buildvcs=false"}
    subprocess.run(["go", "build", "-o", program, "."], cwd=LOADER, env=environment, check=True)
    return program


def loaded(
    loader: Path, files: Sequence[str | Path], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """What the loader makes of files in the folder."""
    command = [loader, *(COMPOSE / file for file in files)]
    return subprocess.run(
        command, cwd=LOADER, env=os.environ | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.go
@pytest.mark.timeout(900)
def test_compose_itself_takes_the_files(loader: Path) -> None:
    """Alone and with the boards; each service that the files name is there, and secrets arrive."""
    for files in (["compose.yaml"], ["compose.yaml", "boards.yaml"]):
        ran = loaded(loader, files, SECRETS)
        assert (ran.returncode, ran.stderr) == (0, "")
        project = yaml.safe_load(ran.stdout)
        named = [yaml.safe_load((COMPOSE / file).read_text())["services"] for file in files]
        assert set(project["services"]) == {name for each in named for name in each}
        assert project["services"]["clickhouse"]["environment"]["CLICKHOUSE_PASSWORD"] == "x"


@pytest.mark.go
@pytest.mark.timeout(900)
def test_compose_refuses_what_is_wrong(loader: Path, tmp_path: Path) -> None:
    """A secret that is not set, and a key that there is not: the check can fail."""
    ran = loaded(loader, ["compose.yaml"], SECRETS | {"OTLP_TOKEN": ""})
    assert ran.returncode == 1
    assert "OTLP_TOKEN is missing a value" in ran.stderr
    (tmp_path / "typo.yaml").write_text("services: {agent: {healthchek: {}}}")
    ran = loaded(loader, ["compose.yaml", tmp_path / "typo.yaml"], SECRETS)
    assert ran.returncode == 1
    assert "healthchek" in ran.stderr


def test_the_image_is_built_from_what_the_package_needs() -> None:
    """Neither secrets nor environments of the checkout go into the build."""
    text = (COMPOSE / "Dockerfile.otel-llm.dockerignore").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    let_in = {line[1:] for line in lines if line.startswith("!")}
    assert lines[0] == "*"
    root = COMPOSE.parents[1]
    project = (root / "pyproject.toml").read_text()
    named = re.findall(r'^(?:readme = |license-files = \[)"([^"]+)"', project, re.MULTILINE)
    links = {path.resolve().name for path in (root / "otel_llm").iterdir() if path.is_symlink()}
    assert let_in == {
        "pyproject.toml", "setup.py", "otel_llm", *named, *links,
    }  # fmt: skip
    assert len(named) == 2
