"""The whole benchmark of kernels, short: figures that agree with each other, and a page of them."""

import functools

import pytest

from benchmarks.kernels import __main__, measure, page, rows, worker


@pytest.mark.bench
def test_figures_and_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums alone take less than with single kernels, and nobody decodes faster than he reads."""
    for module in (measure, worker):
        monkeypatch.setattr(module, "ROUNDS", 3)
    monkeypatch.setattr(rows, "measure", functools.partial(rows.measure, 2, 3))
    found = __main__.collect()
    shim = found["shim_ns"]
    assert found["shim_ns_per_record"] == shim["eager_full"]["median"]
    assert 0 < shim["plain_read"]["min"] < shim["eager_aggregates"]["min"]
    assert shim["eager_aggregates"]["min"] < shim["eager_full"]["min"]
    assert 0 < shim["plain_copy"]["min"] < shim["eager_full"]["min"]
    assert 0 < found["event_record_us"]["min"] < found["event_hook_us"]["max"]
    assert 0 < found["set_step_us"]["min"] < found["worker_hook_us"] < found["event_hook_us"]["max"]
    text = page.render(found)
    for figure in (shim["plain_read"], shim["cached_full"], shim["eager_full"]):
        assert f"| {figure['median']:,} |" in text
