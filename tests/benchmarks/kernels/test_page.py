"""The committed page of kernels shows the committed figures."""

import json

from benchmarks import report
from benchmarks.kernels import page


def test_the_page_is_of_its_data() -> None:
    """Whoever changes one of both has to measure, or to render, anew."""
    result = json.loads((report.RESULTS / "kernels.json").read_text("utf-8"))
    assert page.render(result) == (report.RESULTS / "kernels.md").read_text("utf-8")


def test_the_method_is_that_of_the_measurement() -> None:
    """A later wording of the method is none of earlier figures."""
    result = json.loads((report.RESULTS / "kernels.json").read_text("utf-8"))
    told = page.render(result | {"method": "By hand.", "owed": "Much."})
    assert told.endswith("\n\nBy hand.\n\nMuch.\n")
