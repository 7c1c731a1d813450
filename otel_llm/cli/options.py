"""Options that several commands share."""

import re
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[
    str | None, typer.Option(help="ClickHouse HTTP interface to ask. Default: the running `up`.")
]
DataDir = Annotated[
    str | None, typer.Option(help="Data directory of `otel-llm up`; opened if `up` is not running.")
]
Tenant = Annotated[
    str, typer.Option(help="This tenant's view: its own calls, of others only their number.")
]
Config = Annotated[str | None, typer.Option(help="TOML file of settings. Also: OTEL_LLM_CONFIG.")]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def age_ns(option: str, text: str) -> int:
    """Nanoseconds of an age such as 90s, 15m, 2h or 7d.

    Args:
        option: which gives it, for the message.
        text: the age.

    Raises:
        typer.BadParameter: it is none.
    """
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if match is None:
        message = f"{text!r} is no age: write for example 90s, 15m, 2h or 7d."
        raise typer.BadParameter(message, param_hint=option)
    return int(match[1]) * _UNITS[match[2]] * 1_000_000_000
