"""The benchmark of rows of kernels, on a small load."""

from benchmarks.kernels import rows


def test_measure() -> None:
    """Every figure is there and is a rate; all rows that were counted stand in the store."""
    found = rows.measure(repeats=2, steps=3)
    assert found["kernels"] == 3 * rows.PER_STEP
    for figure in (found["rows_per_s"], found["rows_per_core_s"], found["new_name_us"]):
        assert figure["median"] > 0
    assert set(found["kernels_per_core_s"]) == {
        "step_sums", "ten_second_totals", "step_names", "encode",
    }  # fmt: skip
