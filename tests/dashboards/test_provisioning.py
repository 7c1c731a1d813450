"""`deploy/grafana` and the boards fit together."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import yaml

from benchmarks.dashboards import boards
from otel_llm.dashboards.build import GENERATED
from otel_llm.dashboards.grafana import targets

PROVISIONING = Path(__file__).parents[2] / "deploy/grafana/provisioning"
SOURCES = (PROVISIONING / "datasources/otel-llm.yaml").read_text(encoding="utf-8")


def test_both_kinds_of_source_are_provisioned() -> None:
    """A board's variables find a data source of each kind."""
    for kind in (targets.CLICKHOUSE["type"], targets.PROMETHEUS["type"]):
        assert f"type: {kind}\n" in SOURCES


def test_exemplars_lead_to_the_trace_board() -> None:
    """The link of exemplars opens a board that is there and takes a trace."""
    [uid] = re.findall(r"/d/([\w-]+)\?var-trace=", SOURCES)
    [board] = [each for each in boards.load(GENERATED).values() if each["uid"] == uid]
    assert "trace" in {variable["name"] for variable in board["templating"]["list"]}


def test_rates_look_at_four_scrapes() -> None:
    """Grafana takes its rates over four of the interval that it is told; no scrape is rarer."""
    [told] = re.findall(r"timeInterval: (\d+)s", SOURCES)
    deploy = Path(__file__).parents[2] / "deploy"
    scraped = [
        int(seconds)
        for path in deploy.rglob("prometheus.yml")
        for seconds in re.findall(r"scrape_interval: (\d+)s", path.read_text(encoding="utf-8"))
    ]
    assert len(scraped) > 1
    assert max(scraped) <= int(told)


def test_the_exemplars_label_is_the_one_in_use() -> None:
    """Exemplars carry the label that Grafana is told of."""
    assert "- name: trace_id\n" in SOURCES
    found = [
        path
        for path in (Path(__file__).parents[2] / "otel_llm").rglob("*.py")
        if re.search(r"exemplar.*trace_id|\{\"trace_id\"", path.read_text(encoding="utf-8"))
    ]
    assert found


def test_compose_mounts_the_generated_boards_and_rules() -> None:
    """Grafana and Prometheus of `boards.yaml` see the generated files, where they look for them."""
    folder = Path(__file__).parents[2] / "deploy/compose"
    services = yaml.safe_load((folder / "boards.yaml").read_text(encoding="utf-8"))["services"]
    mounted = {}
    for name, service in services.items():
        if name != "clickhouse":  # that of compose.yaml, with one user more
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
            assert service["healthcheck"]["test"][0] == "CMD"
        for volume in service["volumes"]:
            source, target, *_ = volume.split(":")
            if source.startswith("."):
                assert (folder / source).exists(), source
                mounted[target] = (folder / source).resolve()
    provider = yaml.safe_load(
        (PROVISIONING / "dashboards/otel-llm.yaml").read_text(encoding="utf-8")
    )["providers"][0]
    assert mounted[provider["options"]["path"]] == GENERATED.resolve()
    assert mounted["/etc/grafana/provisioning"] == PROVISIONING.resolve()
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)\}", SOURCES))
    assert asked <= set(services["grafana"]["environment"])


def test_grafana_asks_as_a_user_who_may_only_read() -> None:
    """Whoever may edit a board may ask any SQL, so the user is granted SELECT and nothing else."""
    folder = Path(__file__).parents[2] / "deploy/compose"
    services = yaml.safe_load((folder / "boards.yaml").read_text(encoding="utf-8"))["services"]
    name = services["grafana"]["environment"]["OTEL_LLM_CLICKHOUSE_USER"]
    users = ET.parse(folder / f"users.d/{name}.xml")
    profile = users.findtext(f"users/{name}/profile")
    assert users.findtext(f"profiles/{profile}/readonly") == "2"
    grants = [query.text or "" for query in users.iterfind(f"users/{name}/grants/query")]
    assert grants
    assert all(re.fullmatch(r"GRANT SELECT(, SHOW)? ON \w+\.[\w*]+", grant) for grant in grants)
    password = users.find(f"users/{name}/password")
    assert password is not None
    assert password.attrib["from_env"] in services["clickhouse"]["environment"]


def test_no_copy_of_the_boards_is_kept() -> None:
    """Deployments mount the generated files; there is no second copy to go stale."""
    root = Path(__file__).parents[2]
    names = {path.name for path in GENERATED.glob("*.json")}
    assert [path for path in (root / "deploy").rglob("*.json") if path.name in names] == []
