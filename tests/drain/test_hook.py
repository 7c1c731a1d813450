"""The drain hook drains what is broken, and nothing else."""

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from otel_llm.drain.decide import HOUR_NS, node_of
from otel_llm.drain.server import DrainHook
from otel_llm.testing import FakeClock

TOKEN = "0123456789abcdef"


def message(*labels: dict[str, str], status: str = "firing") -> dict[str, Any]:
    """What Alertmanager sends."""
    return {"receiver": "drain", "alerts": [{"status": status, "labels": each} for each in labels]}


def lost(node: str = "gpu-7") -> dict[str, str]:
    """Labels of a GPU that is gone."""
    return {"alertname": "GpuLost", "instance": f"{node}:9464", "hw_id": "GPU-0"}


def hook(
    tmp_path: Path, *, act: bool = True, most: int = 1, clock: FakeClock | None = None
) -> DrainHook:
    """A hook whose command notes the node in a file."""
    note = f"open({str(tmp_path / 'drained')!r}, 'a').write('{{node}} ')"
    command = [sys.executable, "-c", note.replace("{{node}}", "{node}")]
    return DrainHook(TOKEN, command, act=act, most=most, clock=clock or FakeClock())


async def send(one: DrainHook, body: Any, token: str = TOKEN) -> httpx.Response:  # noqa: ANN401
    """Post a message."""
    transport = httpx.ASGITransport(app=one.app)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://hook") as client:
        if isinstance(body, bytes):
            return await client.post("/drain", content=body, headers=headers)
        return await client.post("/drain", json=body, headers=headers)


def drained(tmp_path: Path) -> list[str]:
    """Nodes that the command was run for."""
    file = tmp_path / "drained"
    return file.read_text().split() if file.exists() else []


async def test_a_broken_gpu_drains_its_node(tmp_path: Path) -> None:
    """The command runs once for the node, however many alerts name it."""
    answer = await send(hook(tmp_path), message(lost(), {**lost(), "alertname": "GpuFatalXid"}))
    assert answer.status_code == 200
    assert drained(tmp_path) == ["gpu-7"]


async def test_a_dry_run_runs_nothing(tmp_path: Path) -> None:
    """Without `act` the command is told and not run."""
    answer = await send(hook(tmp_path, act=False), message(lost()))
    assert answer.json()["dry_run"] is True
    assert answer.json()["nodes"][0]["verdict"] == "drain"
    assert "gpu-7" in answer.json()["nodes"][0]["command"][2]
    assert drained(tmp_path) == []


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x"])
async def test_a_token_is_needed(tmp_path: Path, token: str) -> None:
    """Nobody drains without the token."""
    assert (await send(hook(tmp_path), message(lost()), token)).status_code == 401
    assert drained(tmp_path) == []


async def test_other_alerts_and_resolved_ones_are_let_be(tmp_path: Path) -> None:
    """Only a firing alert on a fatal fault drains."""
    one = hook(tmp_path)
    await send(one, message({**lost(), "alertname": "GpuApplicationXid"}))
    await send(one, message(lost(), status="resolved"))
    assert drained(tmp_path) == []


async def test_a_limit(tmp_path: Path) -> None:
    """One node within an hour; the same one is not drained again, another an hour later is."""
    clock = FakeClock()
    one = hook(tmp_path, clock=clock)
    for node, verdict in (("gpu-7", "drain"), ("gpu-7", "again"), ("gpu-8", "limit")):
        answer = await send(one, message(lost(node)))
        assert answer.json()["nodes"][0]["verdict"] == verdict
    clock.advance(HOUR_NS + 1)
    await send(one, message(lost("gpu-8")))
    assert drained(tmp_path) == ["gpu-7", "gpu-8"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"alerts": [{"status": 1}]}', b"\xff"])
async def test_garbage(tmp_path: Path, body: bytes) -> None:
    """What is no message is refused."""
    assert (await send(hook(tmp_path), body)).status_code == 400


async def test_too_large(tmp_path: Path) -> None:
    """A message has an end."""
    assert (await send(hook(tmp_path), b" " * (2 << 20))).status_code == 413


async def test_a_failing_command_is_told(tmp_path: Path) -> None:
    """Alertmanager hears 500, sends again, and it is tried again; a missing program is no crash."""
    one = DrainHook(TOKEN, [sys.executable, "-c", "raise SystemExit(3)"], act=True)
    for _ in range(2):
        answer = await send(one, message(lost()))
        assert (answer.status_code, answer.json()["nodes"][0]["status"]) == (500, 3)
    gone = DrainHook(TOKEN, [str(tmp_path / "nothing"), "{node}"], act=True)
    assert (await send(gone, message(lost()))).json()["nodes"][0]["status"] == 127


@pytest.mark.parametrize("name", ["-rf", "a b", "a;b", "../x", "$(x)", "", "a" * 300, "é"])
def test_a_node_must_be_a_name(name: str) -> None:
    """A label that could be an option or a path of a command is no node."""
    assert node_of({"node": name}) == ""


def test_node() -> None:
    """`node` comes before `instance`, whose port is cut off."""
    assert node_of({"node": "a.b-1", "instance": "c:9464"}) == "a.b-1"
    assert node_of({"instance": "10.0.0.7:9464"}) == "10.0.0.7"
