"""The committed page of kernels shows the committed figures."""

import json

from benchmarks import report
from benchmarks.kernels import page


def test_the_page_is_of_its_data() -> None:
    """Whoever changes one of both has to measure, or to render, anew."""
    result = json.loads((report.RESULTS / "kernels.json").read_text("utf-8"))
    assert page.render(result) == (report.RESULTS / "kernels.md").read_text("utf-8")


def test_the_figures_agree() -> None:
    """Sums alone take less than with single kernels, and nobody decodes faster than he reads."""
    result = json.loads((report.RESULTS / "kernels.json").read_text("utf-8"))
    shim = {name: figure["min"] for name, figure in result["shim_ns"].items()}
    assert shim["plain_read"] < shim["eager_aggregates"] < shim["eager_full"]
    assert shim["plain_copy"] < shim["eager_full"]
    hook = result["event_hook_us"]["max"]
    assert result["set_step_us"]["min"] < result["worker_hook_us"] < hook
    assert result["event_record_us"]["min"] < hook


def test_the_method_is_that_of_the_measurement() -> None:
    """A later wording of the method is none of earlier figures."""
    result = json.loads((report.RESULTS / "kernels.json").read_text("utf-8"))
    told = page.render(result | {"method": "By hand.", "owed": "Much."})
    assert told.endswith("\n\nBy hand.\n\nMuch.\n")
