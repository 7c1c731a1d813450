"""The shim reads the environment in C by the names and defaults that Python declares."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_llm.cli.checks import kernels
from otel_llm.settings import Settings, load

SHIM = Path(__file__).parents[2] / "otel_llm" / "kernels" / "shim"


def test_names_are_declared() -> None:
    """Every variable that config.c reads is a setting, and every setting of kernels is read."""
    read = set(re.findall(r'(?:text|number)\("([A-Z_]+)"', (SHIM / "config.c").read_text()))
    fields = {name.upper() for name in Settings.__struct_fields__}
    assert read <= fields
    assert {name for name in fields if name.startswith("KERNELS")} <= read


def test_defaults_are_pythons(tmp_path: Path) -> None:
    """Without a variable, C takes what Settings() says."""
    (tmp_path / "say.c").write_text(
        '#include <stdio.h>\n#include "config.h"\nint main(void) { Config c; config_read(&c);\n'
        'printf("%u %u %u %u %lu %u %d %s", c.orders.mode, c.orders.raw_every, c.orders.budget_ppm,'
        "c.orders.flush_ms, (unsigned long)c.ring_bytes, c.device_buffers, c.any_version,"
        "c.directory); return 0; }\n"
    )
    subprocess.run(["cc", f"-I{SHIM}", tmp_path / "say.c", SHIM / "config.c", "-o",
                    tmp_path / "say"], check=True)  # fmt: skip
    done = subprocess.run([tmp_path / "say"], env={}, capture_output=True, text=True, check=True)
    one = Settings()
    assert one.kernels == "dormant"
    assert done.stdout.split() == [
        "0", str(one.kernels_raw_every), str(round(one.kernels_budget * 1e6)),
        str(round(one.kernels_flush_s * 1e3)), str(one.kernels_ring_bytes),
        str(one.kernels_device_buffers), "0", one.journal_dir,
    ]  # fmt: skip


def test_doctor_tells_of_a_shim(script: Callable[..., str]) -> None:
    """The doctor names the shim, the library, and each live process with what is wrong with it."""
    out = script(
        "from otel_llm.cli.checks import kernels\n"
        "from otel_llm.settings import load\n"
        "for one in kernels.check(load()):\n"
        "    print(one.what[:8], one.status, one.detail, one.remedy)\n",
        FAKE_CUPTI_SUBSCRIBE="39",
    )
    told = out.splitlines()
    assert [line.split()[:2] for line in told] == [
        ["shim", "ok"], ["libcupti", "ok"], ["kernels-", "warning"],
    ]  # fmt: skip
    assert "waiting (busy), CUPTI 130500; 0 records, 0 lost, 0 thinned; takes 0.0" in told[2]


def test_doctor_tells_of_launches_without_kernels(script: Callable[..., str]) -> None:
    """A shim that is on and is given nothing looks well otherwise."""
    told = script(
        "from otel_llm.cli.checks import kernels\n"
        "from otel_llm.settings import load\n"
        "def tell():\n"
        "    shim.flush()\n"
        "    asked = time.monotonic_ns()\n"
        "    wait_for(lambda: Control(scan(folder)[0]).report().seen_ns > asked)\n"
        "    *_, one = kernels.check(load())\n"
        "    print(one.status, 'no kernel of 1000 launches' in one.detail)\n"
        "for _ in range(999): fake.fake_launch(2, 211, 0, 0)\n"
        "tell(); fake.fake_launch(2, 211, 0, 0)\n"
        "tell(); launch(); tell()\n"
    )
    assert told.splitlines() == ["ok False", "warning True", "ok False"]


def test_doctor_without_a_shim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where it was not built, that is said, and nothing else is wrong."""
    monkeypatch.setattr(kernels, "library_path", lambda: None)
    found = list(kernels.check(load(journal_dir=str(tmp_path), kernels_libcupti="/no/such")))
    assert [(one.what, one.status) for one in found] == [("shim", "off"), ("libcupti", "warning")]
