"""Stage 1's rows against the fake GPU: right when all is well, and not right when it is not."""

from __future__ import annotations

import pytest

from tests.benchmarks.gpu_probe.conftest import Answers, AskRow

METHODS = pytest.mark.parametrize("shim", [True, False], ids=["C shim", "ctypes"])


@pytest.mark.parametrize("name", ["both", "both, through ctypes"])
def test_both_sees_every_kernel_and_its_step(answers: Answers, name: str) -> None:
    """Every kernel comes, tied to its launch; a replay's kernels share one correlation id."""
    row = answers[name]
    assert row["method"] == ("ctypes" if "ctypes" in name else "C shim")
    assert row["complete"] is True
    assert row["counters"]["kernels"] == row["counters"]["kernels_run"] == 1200
    assert row["counters"]["kernel_bytes"] == 248
    assert row["steps"]["graph_steps_with_one_correlation_id"] == row["steps"]["graph_steps"] == 4
    assert row["steps"]["graph_steps_with_all_kernels"] == 4
    assert row["steps"]["kernels_per_eager_step"] == [[50, 20]]
    assert row["skew"]["outside"] == 0
    assert row["callbacks_refused"] == {}


@METHODS
def test_a_busy_subscriber_ends_the_row_with_39(ask: AskRow, shim: bool) -> None:
    """Another tool holds CUPTI: the row says so and leaves the rest of the process alone."""
    row = ask("both", shim=shim, environment={"FAKE_GPU_BUSY": "1"})
    assert row["outcome"] == "failed"
    assert "39 (another subscriber holds CUPTI)" in row["detail"]


@METHODS
def test_lost_records_and_lost_times_are_counted(ask: AskRow, shim: bool) -> None:
    """Each fourth record without times, and CUPTI's own count of drops, reach the report."""
    troubled = {"FAKE_GPU_ZERO_EVERY": "4", "FAKE_GPU_DROP": "7"}
    counters = ask("both", shim=shim, environment=troubled)["counters"]
    assert counters["zero_time"] == 300
    assert counters["dropped"] == 7


@METHODS
def test_a_launch_that_was_forgotten_gets_no_step(ask: AskRow, shim: bool) -> None:
    """Where later launches took its place in the table, a kernel is untagged, not misattributed.

    With ids 2**20 apart all launches share one place in the shim's table, so all but the last are
    forgotten before their records come. The ctypes tracer remembers every id.
    """
    counters = ask("both", shim=shim, environment={"FAKE_GPU_STRIDE": str(1 << 20)})["counters"]
    assert counters["tagged"] + counters["untagged"] == 1200
    assert counters["tagged"] == (50 if shim else 1200)


def test_old_graphs_without_records_are_noticed(ask: AskRow, answers: Answers) -> None:
    """Where a graph captured before attaching stays blind, the row says which graph."""
    well = answers["late"]
    blind = ask("late", environment={"FAKE_GPU_LATE_BLIND": "1"})
    assert well["complete"] == {"old_graph": True, "new_graph": True}
    assert blind["complete"] == {"old_graph": False, "new_graph": True}


def test_windows_are_closed_and_open_again(answers: Answers) -> None:
    """Off means no record, and each later window is as whole as the first."""
    row = answers["windows"]
    for window in (1, 2, 3):
        found = row[f"window {window}"]
        assert found["kernels"] == found["expected"] == 200
        assert found["graph_steps_with_one_correlation_id"] == 4
        assert row[f"while off {window}"]["kernels"] == 0
    assert row["complete"] == [True, True, True]


def test_callbacks_say_which_function_launched(answers: Answers) -> None:
    """Launches through the driver are seen in its domain and not in the runtime's."""
    row = answers["callbacks"]
    assert row["driver"]["seen"] == {"driver cuLaunchKernel": 1000, "driver cuGraphLaunch": 3}
    assert row["runtime"]["seen"] == {}
    assert row["driver and runtime"]["seen"] == row["driver"]["seen"]


def test_second_subscriber_is_refused_or_allowed(ask: AskRow, answers: Answers) -> None:
    """Codes of the second one, and the name of the first where CUPTI tells it."""
    alone = answers["subscribers"]
    assert alone["v1 then v1"]["second"].startswith("39")
    assert alone["v2 then v2"]["says_first_is"] == "CUPTI for somebody"
    shared = ask("subscribers", environment={"FAKE_GPU_MULTI": "1"})
    assert shared["v2 then v2"]["second"] == "0 (ok)"
    assert shared["v1 then v1"]["second"].startswith("39")


def test_new_api_is_as_complete_as_the_old(ask: AskRow, answers: Answers) -> None:
    """The calls that take a subscriber deliver the same records, through either tracer."""
    for row in (answers["new_api"], ask("new_api", shim=False)):
        assert row["complete"] is True
        assert row["dropped_code"] == "0 (ok)"


def test_old_cupti_without_the_new_api_fails_in_words(ask: AskRow) -> None:
    """CUPTI 12 has no such call: a code in words, no crash."""
    row = ask("new_api", environment={"FAKE_GPU_OLD": "1"})
    assert row["outcome"] == "failed"
    assert "API not implemented" in row["detail"]


def test_graph_trace_gives_one_record_per_replay(answers: Answers) -> None:
    """One record a replay, none per kernel, until it is switched off."""
    row = answers["graph_trace"]
    assert row["complete"] is True
    assert row["graph trace alone"]["graphs"] == row["replays"] == 4
    assert row["graph trace alone"]["kernels"] == 0
    assert row["kernels_after_graph_trace"] == 200


def test_api_records_come_once_per_launch(answers: Answers) -> None:
    """Switched on by function, API records are those of launches alone."""
    assert answers["api_records"]["api_records_per_launch"] == 1.0


def test_copies_and_fills_are_counted(answers: Answers) -> None:
    """Memory copies and fills have kinds of their own."""
    row = answers["other_kinds"]
    assert row["complete"] is True
    assert row["counters"]["copies"] == 10


def test_leaving_without_detaching_is_clean(answers: Answers) -> None:
    """The ordinary end of a process while attached ends with status 0."""
    assert answers["leave_attached"]["outcome"] == "ok"


def test_driver_starts_the_shim_by_injection(answers: Answers) -> None:
    """CUDA_INJECTION64_PATH attaches before Python asks for anything."""
    assert set(answers["injected"]["codes"].values()) == {"0 (ok)"}
    assert answers["injected"]["complete"] is True


def test_injection_that_finds_no_cupti_harms_nothing(
    ask: AskRow, libraries: dict[str, str]
) -> None:
    """The process runs on; the row says that nothing was opened."""
    variables = {
        "CUDA_INJECTION64_PATH": str(libraries["probe_shim"]),
        "OTEL_LLM_PROBE_CUPTI": "/nonexistent/libcupti.so.13",
    }
    row = ask("injected", environment=variables)
    assert row["outcome"] == "ok"
    assert row["codes"]["open"].startswith("-1")
    assert row["complete"] is False


def test_soak_counts_lost_times(ask: AskRow, answers: Answers) -> None:
    """A run is complete only while every record has its times."""
    assert answers["soak, pool 8"]["complete"] is True
    row = ask("soak", seconds=0.1, environment={"FAKE_GPU_ZERO_EVERY": "100"})
    assert row["complete"] is False


def test_more_rows_than_room_are_counted(ask: AskRow) -> None:
    """Rows beyond what the tracer may keep are lost and counted, in both tracers."""
    for shim in (True, False):
        row = ask("record_fixture", shim=shim, seconds=0.05, room=100, **_record())
        assert row["counters"]["rows_lost"] > 0, row


def _record() -> dict[str, object]:
    return {"fixture": "/dev/null", "machine": {}, "kernels": 20}
