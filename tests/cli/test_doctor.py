"""`otel-llm doctor`: each part, found and missing, whole and broken."""

import fcntl
import json
import os
import site
import stat
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_llm.cli import agent_page
from otel_llm.cli.checks import agent, configuration, gpu, journals, python, stack
from otel_llm.cli.checks.finding import Finding
from otel_llm.exporters.clickhouse import schema
from otel_llm.settings import Settings, load

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from tests.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("clean_environment")


def named(findings: Iterable[Finding], what: str) -> Finding:
    """The finding about one thing."""
    (found,) = [one for one in findings if one.what == what]
    return found


def test_a_bare_machine_has_no_problem(run: "Run") -> None:
    """Nothing runs: every part says so and what to start, and the exit status is 0."""
    result = run("doctor", "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["problems"]) == (0, 0)
    off = {
        (one["area"], one["what"]): one["remedy"]
        for one in told["findings"]
        if one["status"] == "off"
    }
    assert off[("agent", "running")] == "otel-llm agent"
    assert off[("store", "store")] == "otel-llm up"
    assert {one["area"] for one in told["findings"]} == {
        "python", "journals", "agent", "devices", "identity", "store", "settings", "vllm", "gpu",
        "kernels",
    }  # fmt: skip


def test_text_for_people(run: "Run") -> None:
    """The table keeps within the terminal, hides defaults, and ends with a count."""
    result = run("doctor")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout.endswith("No problems.\n")
    assert "poll_interval_s" not in result.stdout
    assert "poll_interval_s" in run("doctor", "--all").stdout


def test_a_wrong_setting_is_a_problem(run: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting is named, and the status is 1."""
    monkeypatch.setenv("OTEL_LLM_TRACE_RATIO", "2")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    (problem,) = [f for f in json.loads(result.stdout)["findings"] if f["status"] == "problem"]
    assert problem["what"] == "trace_ratio"


def test_settings_tell_their_source_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """File, environment and default are told apart; a token is never printed."""
    config = tmp_path / "otel-llm.toml"
    config.write_text("poll_interval_s = 0.5\n", encoding="utf-8")
    monkeypatch.setenv("OTEL_LLM_OTLP_TOKEN", "hunter2")
    monkeypatch.setenv("OTEL_LLM_JORNAL_DIR", "/x")
    found = list(configuration.check(load(str(config)), str(config)))
    assert named(found, "poll_interval_s").detail == "0.5 from file"
    assert named(found, "otlp_token").detail == "(hidden) from environment"
    assert named(found, "trace_ratio").detail == "1.0 from default"
    assert not [one for one in found if "hunter2" in one.detail]
    assert named(found, "OTEL_LLM_JORNAL_DIR").remedy == "Did you mean OTEL_LLM_JOURNAL_DIR?"


@pytest.mark.parametrize(
    ("mode", "status"), [(0o700, "ok"), (0o750, "ok"), (0o770, "problem"), (0o707, "problem")]
)
def test_the_journal_directorys_mode(tmp_path: Path, mode: int, status: str) -> None:
    """Others may read where the owner allows it; nobody else may write."""
    directory = tmp_path / "journals"
    directory.mkdir()
    directory.chmod(mode)
    found = journals.check(Settings(journal_dir=str(directory)))
    one = named(list(found), "directory")
    assert one.status == status
    assert f"{mode:04o}" in one.detail


def test_a_journal_directory_that_is_none(tmp_path: Path) -> None:
    """A file and a symbolic link are no directory to write journals to."""
    (tmp_path / "file").touch()
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("file", "link"):
        found = list(journals.check(Settings(journal_dir=str(tmp_path / name))))
        assert named(found, "directory").status == "problem"


def test_no_space_for_a_journal(tmp_path: Path) -> None:
    """Less space than one journal needs is a problem: the hooks would write nothing."""
    found = list(journals.check(Settings(journal_dir=str(tmp_path), journal_bytes=1 << 36)))
    space = os.statvfs(tmp_path)
    small = space.f_bavail * space.f_frsize < 1 << 36
    assert named(found, "space").status == ("problem" if small else "warning")


def test_file_systems(tmp_path: Path) -> None:
    """The deepest mount point decides."""
    assert journals.file_system(Path("/proc/self")) == "proc"
    assert journals.file_system(tmp_path / "no" / "such") == journals.file_system(tmp_path)


def test_journals_alive_and_dead(tmp_path: Path) -> None:
    """A journal whose writer lives, one that was closed, and a file that is none."""
    from otel_llm.journal.writer import open_journal

    settings = Settings(journal_dir=str(tmp_path / "j"), journal_bytes=1 << 16)
    kept, closed = (
        open_journal(
            kind="engine", service=name, engine="vllm", engine_version="1", settings=settings
        )
        for name in ("kept", "closed")
    )
    closed.close()
    (tmp_path / "j" / f"engine-{'3' * 32}.journal").write_bytes(b"no journal")
    found = list(journals.check(settings))
    details = sorted(one.detail for one in found if one.what.startswith("engine-"))[1:]
    kept.close()
    assert details == ["closed (vllm 1) closed", "kept (vllm 1) alive"]
    assert named(found, f"engine-{'3' * 17}").status == "warning"


@pytest.mark.parametrize(
    ("devices", "status", "detail"),
    [
        (["GPU-a", "GPU-b"], "ok", "kept runs on GPU-a, GPU-b"),
        (["GPU-a"], "warning", "kept told the devices of 1 of its 2 ranks: GPU-a"),
        ([], "warning", "kept told the devices of 0 of its 2 ranks"),
    ],
)
def test_an_engines_devices(devices: list[str], status: str, detail: str, tmp_path: Path) -> None:
    """They are named; where some ranks did not tell theirs, it is said."""
    from otel_llm.journal.writer import open_journal

    settings = Settings(journal_dir=str(tmp_path / "j"), journal_bytes=1 << 16)
    kept = open_journal(
        kind="engine", service="kept", engine="vllm", engine_version="1", settings=settings,
        devices=devices, ranks=2,
    )  # fmt: skip
    found = [one for one in journals.check(settings) if one.what.startswith("engine-")]
    kept.close()
    assert [(one.status, one.detail) for one in found][1:] == [(status, detail)]
    assert len([one for one in journals.check(settings) if "GPU-" in one.detail]) == 0


def page_of(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let the agent's page answer with a text."""
    monkeypatch.setattr(agent_page, "fetch", lambda _url: text.encode())


def test_the_agents_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the lock is held its counters are read: those above 0 are warnings."""
    settings = Settings(journal_dir=str(tmp_path))
    lock = (tmp_path / "agent.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    page_of(monkeypatch, 'otel_llm_agent_lost_records_total{reason="corrupt"} 3.0\nup 1.0\n')
    found = list(agent.check(settings))
    assert named(found, "running").status == "ok"
    loss = named(found, "otel_llm_agent_lost_records_total")
    assert (loss.status, loss.detail[:21]) == ("warning", '3 with reason="corrup')
    page_of(monkeypatch, "otel_llm_agent_lost_records_total 0.0\n")
    assert named(list(agent.check(settings)), "losses").status == "ok"
    lock.close()
    assert named(list(agent.check(settings)), "running").status == "off"


def test_a_device_that_another_agent_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a warning with the mend; where the agent misses none of them nothing is said."""
    settings = Settings(journal_dir=str(tmp_path))
    with (tmp_path / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        page_of(monkeypatch, 'otel_llm_device_elsewhere{hw_id="GPU-a"} 1.0\n')
        found = named(list(agent.check(settings)), "devices")
        assert (found.status, 'hw_id="GPU-a"' in found.detail) == ("warning", True)
        assert "OTEL_LLM_DEVICES=none" in found.remedy
        for fine in ("up 1.0", 'otel_llm_device_elsewhere{hw_id="GPU-a"} 0.0'):
            page_of(monkeypatch, f"{fine}\n")
            assert "devices" not in [one.what for one in agent.check(settings)]


def test_an_agent_that_does_not_answer(tmp_path: Path) -> None:
    """The lock is held and nobody listens at the settings' port."""
    with (tmp_path / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = list(agent.check(Settings(journal_dir=str(tmp_path), agent_port=1)))
    assert named(found, "metrics").status == "warning"


def test_stores_and_endpoints_that_are_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the settings name and does not answer is a problem."""
    monkeypatch.setenv("OTEL_LLM_CLICKHOUSE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_LLM_OTLP_ENDPOINT", "http://127.0.0.1:1")
    found = list(stack.check(load(data_dir=str(tmp_path))))
    assert named(found, "store").status == "problem"
    assert named(found, "otlp").status == "problem"
    assert named(found, "chdb").status == "ok"


def test_a_schema_that_is_not_as_it_should_be(
    monkeypatch: pytest.MonkeyPatch, store: "Client"
) -> None:
    """What is missing and what differs are problems of their own; a whole schema is current."""

    def told() -> dict[str, tuple[str, str]]:
        found = stack.check(load(clickhouse_url="http://127.0.0.1:1"))
        return {one.what: (one.status, one.detail) for one in found if one.area == "store"}

    monkeypatch.setattr(stack, "store", lambda _url, _data_dir: nullcontext(store))
    store.command("CREATE DATABASE doctor")
    monkeypatch.setattr(store, "database", "doctor")
    schema.apply(store)
    assert told()["schema"] == ("ok", "current")
    store.command("DROP VIEW llm_requests_1m_mv")
    assert told()["schema"] == ("problem", "not applied: 0026_llm_requests_1m_mv.sql")
    schema.apply(store)
    store.command("ALTER TABLE otel_logs MODIFY SETTING non_replicated_deduplication_window = 0")
    problem = "differs: has no non_replicated_deduplication_window = 10000"
    assert told()["otel_logs"] == ("problem", problem)
    assert "schema" not in told()


def test_extras_and_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra is whole if all its packages are installed, through extras of extras."""
    import importlib.metadata as metadata

    known = metadata.distribution

    def without_chdb(name: str) -> metadata.Distribution:
        if name == "chdb":
            raise metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(metadata, "distribution", without_chdb)
    found = list(python.check())
    assert named(found, "extra store").status == "ok"
    embedded = named(found, "extra embedded")
    assert (embedded.status, embedded.detail) == ("off", "missing chdb")
    assert named(found, "extra demo").detail == "missing chdb"


def test_gpu_libraries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A library that loads is told with its name; one that does not with the linker's words."""
    whole = gpu._load("libc", ["no-such.so", "libc.so.6"], "install it")
    assert (whole.status, whole.detail) == ("ok", "libc.so.6 loads")
    missing = gpu._load("x", ["no-such.so"], "install it")
    assert (missing.status, missing.remedy) == ("off", "install it")
    assert "no-such.so" in missing.detail
    wheel = tmp_path / "nvidia" / "cu13" / "lib"
    wheel.mkdir(parents=True)
    (wheel / "libcupti.so.13").touch()
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(tmp_path)])
    assert gpu._cupti_wheels() == [str(wheel / "libcupti.so.13")]


def test_doctor_changes_nothing(run: "Run", tmp_path: Path) -> None:
    """Looking makes no directory and no file."""
    run("doctor")
    assert list(tmp_path.iterdir()) == []
    assert stat.S_ISDIR(tmp_path.stat().st_mode)


@pytest.mark.parametrize(
    ("version", "status"),
    [("24.7.9.99", "problem"), ("24.8.1.1", "ok"), ("9.1", "problem"), ("26.9.2.1", "ok")],
)
def test_the_servers_version(
    store: "Client", monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, status: str
) -> None:
    """A server older than what the page names is a problem, with the remedy."""
    from otel_llm.exporters.clickhouse.client import OLDEST_SERVER

    monkeypatch.setattr(stack, "store", lambda _url, _data_dir: nullcontext(store))
    monkeypatch.setattr(store, "server_version", version)
    settings = Settings(data_dir=str(tmp_path), clickhouse_url="http://127.0.0.1:1")
    found = named(stack.check(settings), "store")
    assert found.status == status
    assert version in found.detail
    assert ("24.8" in found.remedy) == (status == "problem")
    page = Path(__file__).parents[2] / "docs" / "clickhouse.md"
    assert f"ClickHouse {OLDEST_SERVER} or newer" in page.read_text(encoding="utf-8")
