"""Which times are taken."""

from otel_llm.collector.decoder import EVER, Window
from otel_llm.collector.doors.window import Windows, ages_s
from otel_llm.exporters.clickhouse import schema

DAY_S = 86_400
NOW_S = 1_790_000_000


def test_the_shortest_time_of_a_signal_counts() -> None:
    """A row must stay in every table of its signal; one that keeps for ever says nothing."""
    retention = ("otel_traces=90d", "otel_metrics_sum=2h", "otel_metrics_gauge=0", "otel_logs=0")
    ages = ages_s(schema.wanted(retention))
    assert ages == {"traces": 30 * DAY_S, "metrics": 2 * 3600, "logs": 0}


def test_a_window_goes_with_the_clock() -> None:
    """From as long ago as rows are kept, or ever, until a day ahead."""
    windows = Windows({"traces": DAY_S, "logs": 0, "metrics": NOW_S * 2}, lambda: NOW_S * 10**9)
    newest = (NOW_S + DAY_S) * 10**9
    assert windows("traces") == Window((NOW_S - DAY_S) * 10**9, newest)
    assert windows("logs") == windows("metrics") == Window(EVER.oldest_ns, newest)
