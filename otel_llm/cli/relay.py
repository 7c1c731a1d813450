"""`otel-llm relay`: Alertmanager's messages with example traces in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.extras import needs
from otel_llm.cli.store import store
from otel_llm.errors import SettingError
from otel_llm.settings import check_url

if TYPE_CHECKING:
    from otel_llm.relay.examples import Ask


def relay(
    token_file: Annotated[Path, typer.Option(help="File with the token that Alertmanager sends.")],
    to: Annotated[str, typer.Option(help="URL that gets the messages as JSON.")] = "",
    slack_url_file: Annotated[
        Path | None, typer.Option(help="File with Slack's webhook, which gets them as text.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 9466,
    url: options.Url = None,
    data_dir: options.DataDir = None,
) -> None:
    """Pass Alertmanager's messages on with the traces of the slowest and failed calls in them."""
    with needs("The relay", "agent"):
        import uvicorn

        from otel_llm.relay.server import Relay, Target
        from otel_llm.webhook import token_in

    @contextmanager
    def asked() -> "Iterator[Ask]":
        from otel_llm.query.recent import recent

        with store(url, data_dir) as client:
            yield lambda wanted: recent(client, wanted)

    if to:
        check_url("--to", to)
    target = Target(to, _slack(slack_url_file))
    if not to and slack_url_file is None:
        name = "--to"
        raise SettingError(name, "nobody would get the messages", "Give --to or --slack-url-file")
    app = Relay(token_in(token_file), asked, target).app
    typer.echo(f"Passing on what comes to http://{host}:{port}/relay", err=True)
    output.next_step(
        f"otel-llm alerts receivers --webhook-url http://{host}:{port}/relay "
        f"--webhook-token-file {token_file}"
    )
    uvicorn.run(app, host=host, port=port, log_level="warning")


def _slack(file: Path | None) -> str:
    """Slack's address, which is a secret: no error shows it."""
    if file is None:
        return ""
    name, remedy = "--slack-url-file", "Name a file that holds Slack's webhook alone"
    try:
        url = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(name, f"{file} cannot be read", remedy) from error
    if not url.startswith(("https://", "http://")) or len(url.split()) != 1:
        raise SettingError(name, f"{file} holds no URL", remedy)
    return url
