"""The whole benchmark of kernels, short: every figure, and a page of them."""

import functools

import pytest

from benchmarks.kernels import __main__, measure, page, rows, worker


@pytest.mark.bench
def test_figures_and_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part costs something, and what others read is the figure that the page shows."""
    for module in (measure, worker):
        monkeypatch.setattr(module, "ROUNDS", 3)
    monkeypatch.setattr(rows, "measure", functools.partial(rows.measure, 2, 3))
    found = __main__.collect()
    shim = found["shim_ns"]
    assert found["shim_ns_per_record"] == shim["eager_full"]["median"]
    assert all(figure["min"] > 0 for figure in shim.values())
    parts = ("event_record_us", "event_hook_us", "set_step_us")
    assert all(found[part]["min"] > 0 for part in parts)
    text = page.render(found)
    for figure in (shim["plain_read"], shim["cached_full"], shim["eager_full"]):
        assert f"| {figure['median']:,} |" in text
