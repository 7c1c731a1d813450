"""What can go wrong under the shim: it is reported and counted, and the engine goes on."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_llm.kernels.control import Control, scan
from tests.kernels.running import Run
from tests.waiting import until

Drive = Callable[..., Run]
Script = Callable[..., str]
STATE = "r = shim.report(); print(r.state, r.reason)\nlaunch()\n"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("999", "off no_driver"),
        ("15", "off not_initialized"),
        ("35", "off permission"),
        ("40", "off permission"),
        ("39", "waiting busy"),
        ("8", "off cupti_error"),
    ],
)
def test_cupti_refuses(script: Script, code: str, told: str) -> None:
    """No driver, no permission, busy: each is said by name and counted, launches go on."""
    count = "c = shim.report().counters\nprint(c['attach_failures'] + c['cupti_errors'] > 0)"
    out = script(STATE + count, FAKE_CUPTI_SUBSCRIBE=code)
    assert out.splitlines() == [told, "True"]


def test_busy_is_tried_again(script: Script) -> None:
    """The subscription is taken as soon as the other profiler is gone, after a back-off."""
    out = script(
        STATE + "wait_for(lambda: shim.report().state == 'on')\nprint(shim.report().state)",
        FAKE_CUPTI_SUBSCRIBE="39", FAKE_CUPTI_BUSY="2",
    )  # fmt: skip
    assert out.splitlines() == ["waiting busy", "on"]


def test_no_library(environment: dict[str, str], built: Path) -> None:
    """Without any libcupti the process runs as if there were no shim."""
    done = subprocess.run(
        [built / "drive", built / "none.so", "1", "1", "1", "1"],
        env=environment | {"OTEL_LLM_KERNELS_LIBCUPTI": "/no/such"}, check=False,
    )  # fmt: skip
    assert done.returncode == 4  # the driver itself has nothing to launch with
    [path] = scan(Path(environment["OTEL_LLM_JOURNAL_DIR"]))
    report = Control(path).report()
    assert report is not None
    assert (report.state, report.reason) == ("off", "no_library")


def test_old_version_is_off_unless_allowed(drive: Drive, environment: dict[str, str]) -> None:
    """CUPTI 12.9 has known faults in long runs: off, and said so. Allowed, it works."""
    old = str(Path(environment["OTEL_LLM_KERNELS_LIBCUPTI"]).with_name("libcupti.so.12"))
    variables = {"fake": "libcupti.so.12", "OTEL_LLM_KERNELS_LIBCUPTI": old}
    run = drive(20, 10, 5, 1, OTEL_LLM_KERNELS_ANY_CUPTI="true", **variables)
    assert len(run.raw) == 1000
    assert [row for row in run.raw if row["step"] != run.launched[row["correlation"]]] == []
    drive_again = environment | {"OTEL_LLM_KERNELS_LIBCUPTI": old}
    built = Path(old).parent
    subprocess.run([built / "drive", old, "1", "1", "1", "1"], env=drive_again, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    reports = [Control(path).report() for path in scan(Path(environment["OTEL_LLM_JOURNAL_DIR"]))]
    assert ("off", "old_version") in {(one.state, one.reason) for one in reports if one}


def test_two_copies(script: Script, built: Path) -> None:
    """Two copies in one process: none is used, unless the setting says which is the right one."""
    second = str(built / "libcupti.so.12")
    told = "r = shim.report(); print(r.state, r.reason, r.copies)\n"
    none = script(told, OTEL_LLM_KERNELS_LIBCUPTI="", LD_PRELOAD=second)
    assert none == "off two_copies 2"
    assert script(told, LD_PRELOAD=second) == "on  2"


def test_dropped_records_are_counted(drive: Drive) -> None:
    """What CUPTI drops, it says; delivered and dropped make up all that were launched."""
    run = drive(50, 20, 10, 1, FAKE_CUPTI_DROP="13")
    assert run.counters["dropped_by_cupti"] == 10_000 // 13
    assert len(run.raw) == 10_000 - 10_000 // 13


def test_zero_and_absurd_times_are_counted(drive: Drive) -> None:
    """Kernels without true times are in no row, and counted by what is wrong."""
    run = drive(50, 20, 10, 1, FAKE_CUPTI_ZERO="10", FAKE_CUPTI_ABSURD="7")
    zero, both, absurd = 10_000 // 10, 10_000 // 70, 10_000 // 7
    # The fake's absurd stamp comes last where both are due.
    assert run.counters["zero_timestamps"] == zero - both
    assert run.counters["absurd_timestamps"] == absurd
    assert len(run.raw) == 10_000 - zero - absurd + both


def test_cut_buffers_are_counted(drive: Drive) -> None:
    """A buffer that ends within a record gives the records before, and is counted."""
    run = drive(50, 200, 10, 1, FAKE_CUPTI_CUT="2")
    assert run.counters["truncated"] >= 5
    assert len(run.raw) == 100_000 - run.counters["truncated"]
    assert run.counters["buffers"] >= 2 * run.counters["truncated"]


def test_slow_delivery_never_blocks_on_buffers(drive: Drive) -> None:
    """While buffers wait to be read, more are given out, to a bound; no record goes uncounted."""
    run = drive(40, 500, 10, 4, FAKE_CUPTI_SLOW_MS="20")
    assert len(run.raw) + run.counters["dropped_by_cupti"] == 200_000


def test_killed_in_the_middle(built: Path, environment: dict[str, str]) -> None:
    """After SIGKILL what was written is read, every step right, nothing corrupt."""
    folder = Path(environment["OTEL_LLM_JOURNAL_DIR"])
    process = subprocess.Popen(
        [built / "drive", built / "libcupti.so.13", "100000", "20", "20", "1"],
        env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip

    def written() -> int:
        found = [Control(path).report() for path in scan(folder)]
        return sum(one.counters["records"] for one in found if one)

    try:
        until(lambda: written() > 20_000)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    run = Run.of(folder, "")
    assert len(run.raw) > 10_000
    assert (run.lost.corrupt, run.lost.undecodable) == (0, 0)
    # A launch makes 20 kernels, 20 launches a step: correlation ids tell the step.
    assert [row for row in run.raw if row["step"] != (row["correlation"] - 1) // 20 + 1] == []
    assert not run.clean_close
    [control] = scan(folder)
    assert not Control(control).is_alive()


def test_fork(script: Script, tmp_path: Path) -> None:
    """A child holds nothing of ours and writes nothing; the parent goes on as before."""
    out = script(
        "shim.set_step(1); launch()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    shim.set_step(99); launch()\n"
        "    shim.start(); r = shim.report()\n"
        "    held = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')"
        " if os.path.exists(f'/proc/self/fd/{n}')]\n"
        "    mine = [one for one in held if 'kernels-' in one]\n"
        "    print(r.state, r.reason, mine, flush=True); shim.stop(); os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "shim.set_step(2); launch()\n"
        "shim.stop()\n"
    )
    assert out == "off forked []"
    run = Run.of(tmp_path / "journals", "")
    assert run.count_by(run.steps, "key") == {(1,): 1, (2,): 1}
    assert run.lost.corrupt == 0


def test_fork_before_use(script: Script, tmp_path: Path) -> None:
    """A child of a dormant process may start anew, with files of its own."""
    script(
        "child = os.fork()\n"
        "if child == 0:\n"
        "    shim.start(); shim.set_mode('on'); shim.set_step(5); launch(); shim.stop()\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "shim.stop()\n",
        OTEL_LLM_KERNELS="dormant",
    )
    [path] = (tmp_path / "journals").glob("*.ring")
    assert Run.read(path, {}).count_by(Run.read(path, {}).steps, "key") == {(5,): 1}
    assert len(scan(tmp_path / "journals")) == 2


def test_budget_thins_then_stops(script: Script) -> None:
    """Past its budget the shim gives up raw rows, then names, then everything, and says so."""
    out = script(
        "seen = []\n"
        "until = time.monotonic() + 60\n"
        "while time.monotonic() < until:\n"
        "    for step in range(200): shim.set_step(step); launch(50)\n"
        "    r = shim.report()\n"
        "    if not seen or seen[-1] != (r.level, r.state): seen.append((r.level, r.state))\n"
        "    if r.state == 'stopped': break\n"
        "print(seen[-1], seen == sorted(seen), shim.report().counters['budget_changes'])\n"
        "before = shim.report().counters['records']; launch(); shim.flush()\n"
        "print(shim.report().counters['records'] - before, shim.report().reason,"
        " shim.report().counters['names_thinned'] > 0)\n",
        OTEL_LLM_KERNELS_BUDGET="0.000001",
    )
    assert out.splitlines() == [
        "(4, 'stopped') True 4",
        "0 budget True",
    ]


def test_no_space_for_a_ring(script: Script) -> None:
    """Where the ring cannot be had the process goes on without it."""
    limit = "import resource\n"
    out = script(
        limit + "shim.stop(); resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nshim.start()\n" + STATE
    )
    assert out == "off no_space"


def test_turning_on_is_no_cost_of_recording(script: Script) -> None:
    """A ring is made once: its pages thin no kernels of the seconds after."""
    out = script(
        "wait_for(lambda: shim.report().counters['flush_ns'])\n"
        "before = shim.report().counters['flush_ns']\n"
        "Control(scan(folder)[0]).order(mode='on')\n"
        "wait_for(lambda: shim.report().state == 'on')\n"
        "time.sleep(2.5)\n"
        "r = shim.report()\n"
        "print(r.counters['flush_ns'] - before > 20e6, r.level, r.counters['budget_changes'])",
        OTEL_LLM_KERNELS="dormant", OTEL_LLM_KERNELS_BUDGET="0.02",
        OTEL_LLM_KERNELS_RING_BYTES=str(256 << 20),
    )  # fmt: skip
    assert out == "True 0 0"


@pytest.mark.parametrize(("work", "level"), [(0, 0), (1, 1)])
def test_a_late_callback_is_charged_what_it_ran(
    script: Script, tmp_path: Path, work: int, level: int
) -> None:
    """A thread that loses the CPU in a callback costs nothing meanwhile; one that works, all of it.

    One of 256 callbacks is timed, and is 50 ms late.
    """
    preloaded = tmp_path / "late.so"
    source = Path(__file__).with_name("late.c")
    subprocess.run(["cc", "-O2", "-fPIC", "-shared", source, "-o", preloaded], check=True)
    out = script(
        f"late = ctypes.CDLL({str(preloaded)!r})\n"
        "wait_for(lambda: shim.report().counters['flush_ns'])\n"
        f"late.launch_late(fake.fake_launch, 256, {work})\n"
        "charged = shim.report().counters['callback_ns']\n"
        "time.sleep(1.5)\n"  # the budget is kept once a second
        f"wait_for(lambda: shim.report().level >= {level})\n"
        "print(charged, shim.report().level)",
        LD_PRELOAD=str(preloaded), OTEL_LLM_KERNELS_BUDGET="0.5", OTEL_LLM_KERNELS="callbacks",
    )  # fmt: skip
    charged, found = map(int, out.split())
    assert (charged > 256 * 40e6) if work else (charged < 256 * 1e6)
    assert found == level


def test_a_directory_that_others_may_write_is_refused(script: Script, tmp_path: Path) -> None:
    """Nothing is written to a directory in which others could swap our files."""
    (tmp_path / "journals").mkdir()
    (tmp_path / "journals").chmod(0o777)
    assert script("r = shim.report(); print(r.state, r.reason)") == "off no_space"
    assert list((tmp_path / "journals").iterdir()) == []


def test_dead_files_are_swept(drive: Drive, environment: dict[str, str]) -> None:
    """Without an agent the files of dead processes do not pile up: the newest ring is kept."""
    folder = Path(environment["OTEL_LLM_JOURNAL_DIR"])
    drive(1, 1, 1, 1)
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    subprocess.run(
        [Path(environment["OTEL_LLM_KERNELS_LIBCUPTI"]).with_name("drive"),
         environment["OTEL_LLM_KERNELS_LIBCUPTI"], "1", "1", "1", "1"],
        env=environment, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert len(list(folder.glob("*.ring"))) == 2
    for path in folder.iterdir():
        os.utime(path, (path.stat().st_mtime - 500,) * 2)
    subprocess.run(
        [Path(environment["OTEL_LLM_KERNELS_LIBCUPTI"]).with_name("drive"),
         environment["OTEL_LLM_KERNELS_LIBCUPTI"], "1", "1", "1", "1"],
        env=environment, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert len(list(folder.glob("*.ring"))) == 2


@pytest.mark.parametrize("damage", [b"\xff" * 32, b"\0" * 32, b""])
def test_damaged_orders_change_nothing(script: Script, damage: bytes) -> None:
    """Orders that are not whole, or a file cut off, leave the shim as it is."""
    out = script(
        "[path] = scan(folder)\n"
        f"damage = {damage!r}\n"
        "handle = os.open(path, os.O_RDWR)\n"
        "os.pwrite(handle, damage, 64) if damage else os.ftruncate(handle, 0)\n"
        "time.sleep(0.4); launch(); shim.flush()\n"
        "r = shim.report(); print(r.state, r.seq, r.counters['records'])\n"
    )
    assert out == "on 1 1"
