"""The systemd units: valid, closed, and with the commands and settings that there are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from otel_llm.settings import PREFIX, Settings

UNITS = Path(__file__).parents[3] / "deploy" / "systemd"
NAMES = sorted(path.name for path in UNITS.glob("*.service"))
ANALYZE = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")


def test_there_are_three_units() -> None:
    """The list below is not empty."""
    assert len(NAMES) == 3


@ANALYZE
@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_valid(name: str, tmp_path: Path) -> None:
    """Systemd finds nothing wrong, once the programs are where the unit says."""
    text = (UNITS / name).read_text()
    program = shutil.which("true")
    text = re.sub(r"(?<==)/(?:opt/otel-llm|usr/local)/bin/\S+", str(program), text)
    unit = tmp_path / name.replace("@.", "@gateway.")
    unit.write_text(text)
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@ANALYZE
@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_closed(name: str) -> None:
    """`systemd-analyze security` gives it 4.5 of 10 at most, where 10 is open."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=45", UNITS / name]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_sets_settings_that_there_are(name: str) -> None:
    """A setting that was renamed is noticed here, not at the next boot."""
    known = {PREFIX + field.upper() for field in Settings.__struct_fields__}
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+(?==)", (UNITS / name).read_text()))
    assert named - known == set()
