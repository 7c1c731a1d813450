"""The wheel holds the package and all its data, under one name, and works on its own."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)  # two builds, each in an environment of its own
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the tracked files, so that nothing stale is in it.

    By way of a source distribution, as whoever has no wheel for their machine builds it.
    """
    source = tmp_path_factory.mktemp("source")
    out = tmp_path_factory.mktemp("wheel")
    archive = source / "tree.tar"
    # The index holds what would be committed; `git stash create` is empty on a clean tree.
    tree = _git("stash", "create") or "HEAD"
    _git("archive", "--output", str(archive), tree)
    subprocess.run(["tar", "-xf", str(archive), "-C", str(source)], check=True)
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(out), str(source)],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


def _git(*args: str) -> str:
    done = subprocess.run(["git", *args], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_top_level_is_otel_llm_alone(wheel: Path) -> None:
    """No generic name such as `exporters` reaches site-packages."""
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"otel_llm"}


def test_every_data_file_is_inside(wheel: Path) -> None:
    """Each tracked data file of the package is in the wheel."""
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = _git("ls-files", "otel_llm", "exporters", "dashboards", "alert_rules").splitlines()
    suffixes = {".sql", ".csv", ".proto", ".yaml", ".json", ".md"}
    data = [
        name if name.startswith("otel_llm/") else f"otel_llm/{name}"
        for name in tracked
        if Path(name).suffix in suffixes
    ]
    assert data
    assert [name for name in data if name not in names] == []


def test_every_compiled_part_is_inside(wheel: Path) -> None:
    """What is compiled of each module's folder is in the wheel, for every Python from 3.10 on."""
    folders = [Path(name).parent for name in _git("ls-files", "*/native/module.c").splitlines()]
    modules = [f"{folder.parent}/_native.abi3.so" for folder in folders]
    wanted = {name if name.startswith("otel_llm/") else f"otel_llm/{name}" for name in modules}
    assert len(wanted) == 3
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


def test_wheel_works_alone(wheel: Path, tmp_path: Path) -> None:
    """An engine's environment needs the bare wheel only: a recorder opens, writes and is read."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, wheel], check=True)
    script = (
        "from otel_llm.recorder import Recorder\n"
        "from otel_llm.settings import load\n"
        "from pathlib import Path\n"
        "from otel_llm.journal.directory import scan\n"
        "from otel_llm.journal.reader import JournalReader\n"
        f"settings = load(journal_dir={str(tmp_path / 'journals')!r}, journal_bytes=65536)\n"
        "recorder = Recorder.open(engine='e', engine_version='1', model='m', service='s',\n"
        "                         settings=settings)\n"
        "seq = recorder.step_scheduled(request_index=[1], phase=b'\\0', tokens=[3], context=[0])\n"
        "recorder.step_done(seq)\n"
        "[path] = scan(Path(settings.journal_dir))\n"
        "print([type(r).__name__ for r in JournalReader.open(path).read()])\n"
    )
    done = subprocess.run(
        [python, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['Anchor', 'StepScheduled', 'StepDone']"
