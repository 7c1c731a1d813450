"""What goes to the screen: results to stdout, advice and progress to stderr."""

import sys
from typing import TYPE_CHECKING, Any

import typer

from otel_llm.cli.render.text import ASCII, UNICODE, Glyphs
from otel_llm.errors import MissingExtraError

if TYPE_CHECKING:
    from rich.console import Console


def print_json(value: Any) -> None:  # noqa: ANN401  whatever msgspec encodes
    """Print one JSON document on one line."""
    import msgspec

    typer.echo(msgspec.json.encode(value).decode())


def next_step(text: str) -> None:
    """Say what to do next, where it cannot disturb a reader of stdout."""
    typer.echo(f"Next: {text}", err=True)


def console(stderr: bool = False) -> "Console":
    """A rich console on stdout or stderr.

    Raises:
        MissingExtraError: rich is not installed.
    """
    try:
        from rich.console import Console
    except ModuleNotFoundError as error:
        feature = "The command line"
        raise MissingExtraError(feature, "cli") from error
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def glyphs(screen: "Console") -> Glyphs:
    """Box characters for a terminal that has them, plain ASCII for everything else."""
    encoding = (getattr(screen.file, "encoding", None) or "").lower().replace("-", "")
    modern = screen.is_terminal and not screen.legacy_windows and encoding == "utf8"
    return UNICODE if modern else ASCII


def failed(text: str, code: int = 1) -> "typer.Exit":
    """Print an error and make the exception that ends the program with `code`."""
    print(f"otel-llm: {text}", file=sys.stderr)  # noqa: T201
    return typer.Exit(code)
