"""Options that several commands share."""

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
