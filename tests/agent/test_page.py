"""The agent's page: metrics for all on this address, what is in flight for the token's holder."""

import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from otel_llm.agent.page import Page, make_app, make_gate, read_or_make_token
from otel_llm.conventions import Metrics
from otel_llm.errors import SettingError
from otel_llm.exporters.prometheus import MetricSet
from otel_llm.settings import Settings

TOKEN = "secret"
GATE = make_gate(
    Settings(
        agent_host="192.0.2.7",
        allowed_hosts=("node.internal",),
        allowed_origins=("http://board.internal",),
    )
)


@pytest.fixture
def page() -> Iterator[Page]:
    """Metrics of steps, served."""
    metrics = MetricSet(("step",))
    metrics.histogram(Metrics.STEP_DURATION).labels("m", "s").observe(0.3, {"trace_id": "abc"})
    app = make_app(metrics, lambda: {"requests": []}, TOKEN, GATE)
    served = Page(app, "127.0.0.1", 0)
    served.start()
    yield served
    served.stop(5)


def test_metrics(page: Page) -> None:
    """Plain text by default; OpenMetrics with exemplars for whoever asks for it."""
    plain = httpx.get(f"{page.url}/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert 'otel_llm_step_duration_seconds_count{model="m",service_name="s"} 1.0' in plain.text
    assert "trace_id" not in plain.text
    rich = httpx.get(f"{page.url}/metrics", headers={"accept": "application/openmetrics-text"})
    assert rich.headers["content-type"].startswith("application/openmetrics-text")
    assert 'trace_id="abc"' in rich.text
    assert rich.text.endswith("# EOF\n")


def test_open_needs_the_token(page: Page) -> None:
    """Without it, or with another, nothing is shown but where to find it."""
    for given in (b"", b"Bearer wrong", "Bearer sécret".encode()):
        answer = httpx.get(f"{page.url}/open", headers={b"authorization": given})
        assert (answer.status_code, "agent.token" in answer.text) == (401, True)
    granted = httpx.get(f"{page.url}/open", headers={"authorization": f"Bearer {TOKEN}"})
    assert (granted.status_code, granted.json()) == (200, {"requests": []})


def test_nothing_else(page: Page) -> None:
    """Other paths and methods are refused."""
    assert httpx.get(f"{page.url}/").status_code == 404
    assert httpx.post(f"{page.url}/metrics").status_code == 405


def test_token(tmp_path: Path) -> None:
    """It is made once, for its owner alone, and made anew if its file is empty."""
    token = read_or_make_token(tmp_path)
    file = tmp_path / "agent.token"
    assert len(token) >= 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_or_make_token(tmp_path) == token
    file.write_text("\n")
    assert read_or_make_token(tmp_path) not in ("", token)


def test_an_address_that_is_taken(page: Page) -> None:
    """The error names the setting and what to do."""
    port = int(page.url.rpartition(":")[2])
    metrics = MetricSet(())
    with pytest.raises(SettingError, match=rf"agent_port: .*127.0.0.1:{port} .*already in use"):
        Page(make_app(metrics, dict, TOKEN, GATE), "127.0.0.1", port)


def test_an_address_that_is_none() -> None:
    """A name that does not resolve is an error that names the setting."""
    app = make_app(MetricSet(()), dict, TOKEN, GATE)
    with pytest.raises(SettingError, match="agent_port"):
        Page(app, "no.such.host.invalid", 0)


AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("path", ["/metrics", "/open"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "attacker.test"}, 403),
        ({"host": "attacker.test:9464"}, 403),
        ({"host": ""}, 403),
        ({"origin": "http://attacker.test"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "localhost:9464"}, 200),
        ({"host": "[::1]:9464"}, 200),
        ({"host": "Node.Internal"}, 200),
        ({"host": "192.0.2.7:9464"}, 200),
        ({"origin": "http://board.internal"}, 200),
    ],
)
def test_who_is_answered(page: Page, path: str, headers: dict[str, str], status: int) -> None:
    """Loopback, the page's own address and what the settings allow; a foreign name is refused."""
    answer = httpx.get(f"{page.url}{path}", headers={**AUTHORIZED, **headers})
    assert answer.status_code == status
    assert ("allowed_" in answer.text) == (status == 403)
