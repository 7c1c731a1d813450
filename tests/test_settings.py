"""Settings: what is refused, and how it is told."""

import os

import pytest

from otel_llm.errors import SettingError
from otel_llm.settings import load, refuse_strangers, strangers


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the developer's own."""
    for name in [name for name in os.environ if name.startswith("OTEL_LLM_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("name", ["clickhouse_url", "otlp_endpoint"])
@pytest.mark.parametrize(
    "url",
    ["foo", "localhost:4318", "http://", "ftp://host", "http://h:port", "http://[", "http:/h"],
)
def test_what_is_no_url_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    """The error names setting, value and remedy, before anything is sent."""
    monkeypatch.setenv(f"OTEL_LLM_{name.upper()}", url)
    with pytest.raises(SettingError, match="must start with http:// or https://") as caught:
        load()
    assert caught.value.name == name
    assert url in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "http://127.0.0.1:8123", "https://host/path", "http://[::1]:1"]
)
def test_urls_and_nothing_pass(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Empty means the running `up`."""
    monkeypatch.setenv("OTEL_LLM_CLICKHOUSE_URL", url)
    assert load(otlp_endpoint=url).clickhouse_url == url


@pytest.mark.parametrize("url", ["ftp://h?password=hunter2", "http:/x?password=hunter2"])
def test_a_password_in_a_url_is_not_told(url: str) -> None:
    """The error of a wrong URL does not show what may be secret."""
    with pytest.raises(SettingError) as caught:
        load(otlp_endpoint=url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("clickhouse_url", "clickhouse_user, clickhouse_password"), ("otlp_endpoint", "otlp_token")],
)
@pytest.mark.parametrize(
    "url", ["http://u:hunter2@host:1", "https://hunter2@host/x", "http://u:1/hunter2@host"]
)
def test_a_user_in_a_url_is_refused(name: str, remedy: str, url: str) -> None:
    """The error points to the setting for it, and shows nothing of the URL."""
    with pytest.raises(SettingError, match=name) as caught:
        load(**{name: url})
    assert "hunter2" not in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize("name", ["clickhouse_password", "otlp_token"])
def test_space_around_a_secret_is_none_of_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A file's line end does not become part of a password."""
    monkeypatch.setenv(f"OTEL_LLM_{name.upper()}", " \thunter2 hunter3\r\n")
    assert getattr(load(), name) == "hunter2 hunter3"


@pytest.mark.parametrize("name", ["clickhouse_password", "otlp_token"])
@pytest.mark.parametrize("value", ["hunter2\nx", "hunter2\x7f", "hunter2\u20ac", "\x00hunter2"])
def test_a_secret_that_no_header_may_hold_is_refused(name: str, value: str) -> None:
    """The error names the setting, never the value."""
    with pytest.raises(SettingError, match=name) as caught:
        load(**{name: value})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_is_no_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's network with host bits, or a name, is refused; networks pass."""
    monkeypatch.setenv("OTEL_LLM_TRUSTED_PROXIES", "10.0.0.0/8, ::1/128")
    assert load().trusted_proxies == ("10.0.0.0/8", "::1/128")
    for wrong in ("10.0.0.1/8", "proxy.example"):
        monkeypatch.setenv("OTEL_LLM_TRUSTED_PROXIES", f"10.0.0.0/8,{wrong}")
        with pytest.raises(SettingError, match=f"trusted_proxies: '{wrong}' is not a network"):
            load()


def test_an_unknown_setting_names_the_nearest() -> None:
    """One candidate, not a list of all; none where nothing is near."""
    with pytest.raises(SettingError, match=r"no such setting\. Did you mean agent_port\?$"):
        load(agent_prot=1)
    with pytest.raises(SettingError, match=r"Remove it; docs/settings\.md lists all\.$"):
        load(zzz=1)


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the nearest setting. Loading alone passes it by, so no engine stumbles."""
    monkeypatch.setenv("OTEL_LLM_JORNAL_DIR", "/x")
    load()
    with pytest.raises(SettingError, match=r"OTEL_LLM_JORNAL_DIR.*mean OTEL_LLM_JOURNAL_DIR\?"):
        refuse_strangers()


def test_variables_of_others_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, the file's variable, Kubernetes' service links and the GPU probe's own."""
    for name in ("CONFIG", "SERVICE", "SERVICE_HOST", "UP_SERVICE_PORT_HTTP", "PROBE_CUPTI",
                 "PORT_9464_TCP_ADDR"):  # fmt: skip
        monkeypatch.setenv(f"OTEL_LLM_{name}", "x")
    monkeypatch.setenv("OTEL_LLM_PORT", "tcp://10.0.0.1:9464")
    assert strangers() == {}
    monkeypatch.setenv("OTEL_LLM_PORT", "9464")
    assert list(strangers()) == ["OTEL_LLM_PORT"]
