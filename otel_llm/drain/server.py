"""The webhook: authenticated, small, and dry unless told to act."""

import asyncio
import logging
from collections.abc import Sequence

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otel_llm.clock import SYSTEM_CLOCK, Clock
from otel_llm.drain.decide import Decider, Decision, Message
from otel_llm.webhook import received

COMMAND_TIMEOUT_S = 30.0
_log = logging.getLogger(__name__)


class Done(msgspec.Struct, frozen=True):
    """What became of a node.

    Attributes:
        node, alert, verdict: of the decision.
        command: what was run, or would be.
        status: exit status; None if nothing was run.
    """

    node: str
    alert: str
    verdict: str
    command: list[str] = []
    status: int | None = None


class DrainHook:
    """Takes messages, runs commands.

    Args:
        token: bearer token that a sender must have.
        command: program and arguments; `{node}` stands for the node.
        act: whether to run it; else it is only told.
        most: nodes within an hour.
        clock: for the hour.
    """

    def __init__(
        self,
        token: str,
        command: Sequence[str],
        *,
        act: bool,
        most: int = 1,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._token = token
        self._command = command
        self._act = act
        self._clock = clock
        self._decider = Decider(most)
        self.app = Starlette(routes=[Route("/drain", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        found = await received(request, self._token, Message)
        if isinstance(found, Response):
            return found
        _, message = found
        decisions = list(self._decider.decide(message, self._clock.monotonic_ns()))
        done = [await self._do(decision) for decision in decisions]
        failed = any(each.status not in (None, 0) for each in done)
        told = {"dry_run": not self._act, "nodes": [msgspec.to_builtins(each) for each in done]}
        # Alertmanager sends a message again that was answered with 5xx.
        return JSONResponse(told, 500 if failed else 200)

    async def _do(self, decision: Decision) -> Done:
        if decision.verdict != "drain":
            _log.warning("%s: %s is not drained: %s", *_told(decision), decision.verdict)
            return Done(decision.node, decision.alert, decision.verdict)
        command = [part.replace("{node}", decision.node) for part in self._command]
        if not self._act:
            _log.warning("%s: would drain %s (dry run)", *_told(decision))
            return Done(decision.node, decision.alert, decision.verdict, command)
        status = await _run(command)
        if status:
            self._decider.forget(decision.node)
        _log.warning("%s: drained %s, exit status %d", *_told(decision), status)
        return Done(decision.node, decision.alert, decision.verdict, command, status)


def _told(decision: Decision) -> tuple[str, str]:
    return decision.alert, decision.node or "a node without a usable name"


async def _run(command: Sequence[str]) -> int:
    """Exit status of a command; 124 if it took too long, 127 if there is no such program."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        _log.warning("the drain command cannot be run: %s", error)
        return 127
    try:
        return await asyncio.wait_for(process.wait(), COMMAND_TIMEOUT_S)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        return 124
