"""Asks the node agent's page."""

from pathlib import Path
from typing import TypeVar

import msgspec

from otel_llm.cli.extras import needs
from otel_llm.errors import OtelLLMError
from otel_llm.settings import Settings

TIMEOUT_S = 5.0
_TOKEN_NAME = "agent.token"  # noqa: S105  a file's name

T = TypeVar("T")


class OpenCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call in flight at a gateway. `age_s` in seconds; `attempts_ended` counts past tries."""

    call_id: str
    trace_id: str
    service: str
    route: str
    tenant: str
    age_s: float
    attempts_ended: int


class OpenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request in flight in an engine.

    Attributes:
        age_s: since its arrival, in seconds.
        phase: `queue`, `prefill` or `decode`.
        output_tokens: generated so far.
        incomplete: facts about it were lost.
    """

    request_id: str
    instance_id: str
    service: str
    model: str
    trace_id: str
    tenant: str
    age_s: float
    phase: str
    prompt_tokens: int | None
    output_tokens: int
    incomplete: bool


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent knows to be in flight. The lists may be cut; the totals are not."""

    requests_open: int
    calls_open: int
    requests: list[OpenRequest]
    calls: list[OpenCall]


class AgentError(OtelLLMError):
    """The node agent does not answer, or refuses."""


def base_url(settings: Settings) -> str:
    """Where the agent's page is.

    Raises:
        AgentError: its port is not fixed by the settings.
    """
    if not settings.agent_port:
        message = "agent_port is 0, so the agent's address is not known. Name it with --agent-url."
        raise AgentError(message)
    host = settings.agent_host
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{settings.agent_port}"


def in_flight(settings: Settings, url: str | None = None) -> InFlight:
    """Ask what is in flight.

    Args:
        settings: name the agent's address and the directory of its token.
        url: the agent's address; None for that of the settings.

    Raises:
        AgentError: it does not answer, or refuses.
    """
    file = Path(settings.state_dir) / _TOKEN_NAME
    try:
        token = file.read_text(encoding="ascii").strip()
    except OSError as error:
        message = (
            f"The agent's token {file} cannot be read ({error.strerror}). "
            "Start otel-llm agent, or set OTEL_LLM_STATE_DIR to its state_dir."
        )
        raise AgentError(message) from error
    body = fetch(f"{url or base_url(settings)}/open", token)
    try:
        return msgspec.json.decode(body, type=InFlight)
    except msgspec.MsgspecError as error:
        message = f"The agent's answer cannot be read ({error}). Is it of this version?"
        raise AgentError(message) from error


def fetch(url: str, token: str = "") -> bytes:
    """Get one of the agent's pages.

    Raises:
        AgentError: it does not answer with 200.
    """
    with needs("Asking the agent", "cli"):
        import httpx
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        # A proxy of the environment has no business with a loopback address.
        answer = httpx.get(url, headers=headers, timeout=TIMEOUT_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        message = f"No agent answers at {url} ({error}). Start one with: otel-llm agent"
        raise AgentError(message) from error
    if answer.status_code != httpx.codes.OK:
        message = f"The agent at {url} answered {answer.status_code}: {answer.text.strip()[:200]}"
        raise AgentError(message)
    return answer.content
