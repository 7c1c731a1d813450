"""Prints the README's example: the slowest call of a demo run that was retried and finished.

`make example` runs the demo and then this, with the run's data directory as argument.
"""

import sys

from rich.console import Console

from otel_llm.cli.render.page import journey_lines
from otel_llm.cli.render.text import UNICODE
from otel_llm.exporters.clickhouse.client import connect
from otel_llm.query.identify import identify
from otel_llm.query.journey import load

WIDTH = 92
CHOICE = """
SELECT trace_id FROM llm_gateway_calls
WHERE outcome = 'finished' AND attempts > 1 AND stream
ORDER BY finished - arrival DESC LIMIT 1
"""


def main() -> None:
    """Print the waterfall of the chosen call."""
    client = connect(data_dir=sys.argv[1])
    [[trace_id]] = client.query(CHOICE).result_rows
    [match] = identify(client, trace_id, tenant="")
    screen = Console(width=WIDTH, highlight=False, markup=False, no_color=True)
    screen.print(f"$ otel-llm trace {trace_id[:12]}")
    for line in journey_lines(load(client, match, tenant=""), WIDTH, UNICODE):
        screen.print(line, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)


main()
