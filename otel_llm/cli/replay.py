"""`otel-llm replay`: store what was set aside on the way in."""

from pathlib import Path
from typing import Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.extras import needs
from otel_llm.settings import load

Files = Annotated[
    list[Path],
    typer.Argument(
        help="Files of DATA_DIR/spool/quarantine that end in .refused.",
        exists=True,
        dir_okay=False,
        readable=True,
    ),
]


def replay(files: Files, as_json: options.Json = False, data_dir: options.DataDir = None) -> None:
    """Store requests that were set aside on the way in, and remove their files."""
    settings = load(data_dir=data_dir)
    with needs("Storing OTLP requests", "embedded"):
        from otel_llm.collector.drain.replay import replay as store
        from otel_llm.exporters.clickhouse.client import connect
    client = connect(data_dir=settings.data_dir)
    try:
        for path in files:
            done = store(client, path)
            if as_json:
                output.print_json(done._asdict())
                continue
            for table, rows in done.rows.items():
                typer.echo(f"{path.name}: {rows} rows in {table}")
    finally:
        client.close()
