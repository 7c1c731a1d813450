"""A certificate of `up` that is near its end or past it: who says so, and in which words."""

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from otel_llm import runfile, x509
from otel_llm.agent.delivery import AwayError
from otel_llm.agent.sinks import OtlpSink
from otel_llm.agent.spool import Batch
from otel_llm.cli.checks import stack as check
from otel_llm.cli.checks.finding import Finding
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.client import connect
from otel_llm.exporters.clickhouse.engine.lock import DirectoryLock
from otel_llm.settings import Settings
from tests.collector.test_stack import start
from tests.waiting import PATIENCE_S

DAY = dt.timedelta(days=1)
URLS = ("https://127.0.0.1:9", "https://127.0.0.1:9/", "https://127.0.0.1:9")
AUTHORITY = trustme.CA()


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory that this process owns, as `up` does while it runs."""
    lock = DirectoryLock(tmp_path, "otel-llm up")
    yield tmp_path
    lock.release()


def showing(data_dir: Path, left: dt.timedelta) -> runfile.RunFile:
    """The run file of an `up` whose certificate is valid for so long from now on."""
    now = dt.datetime.now(dt.timezone.utc)
    leaf = AUTHORITY.issue_cert("a.example.com", not_before=now - 99 * DAY, not_after=now + left)
    pem = leaf.cert_chain_pems[0].bytes().decode()
    token_file, _ = runfile.token(data_dir)
    run = runfile.RunFile(os.getpid(), *URLS, str(token_file), pem)
    runfile.write(data_dir, run)
    return run


def told(settings: Settings, what: str = "tls") -> list[Finding]:
    """What doctor says of one thing."""
    return [one for one in check.check(settings) if one.what == what]


@pytest.mark.parametrize(
    ("left", "status"), [(15 * DAY, "ok"), (13 * DAY, "warning"), (-DAY, "problem")]
)
def test_doctor_warns_before_and_after(data_dir: Path, left: dt.timedelta, status: str) -> None:
    """Two weeks before the end a warning; after it a problem; both with the day."""
    run = showing(data_dir, left)
    assert run.not_after is not None
    (found,) = told(Settings(data_dir=str(data_dir)))
    verb = "expired" if status == "problem" else "expires"
    said = f"{verb} on {run.not_after:%Y-%m-%d %H:%M} UTC; renew it and restart `up`"
    assert (found.status, said in found.detail) == (status, status != "ok")


def test_a_question_names_the_end_and_what_to_do(data_dir: Path) -> None:
    """Not the driver's words, by the data directory and by the URL of the running `up`."""
    run = showing(data_dir, -DAY)
    for url in (None, run.clickhouse_url):
        with pytest.raises(StoreError, match=r"certificate of `up` expired on .* renew it and"):
            connect(url, data_dir=str(data_dir))


def test_the_agent_says_so_too(data_dir: Path) -> None:
    """As a mistake that an operator mends: the batch waits."""
    showing(data_dir, -DAY)
    sink = OtlpSink(Settings(data_dir=str(data_dir)))
    with pytest.raises(AwayError, match="certificate of `up` expired on") as caught:
        sink.send(Batch("otlp", "traces", 0, b""))
    assert caught.value.reason == "misconfigured"
    sink.close()


@pytest.mark.parametrize(
    ("mode", "status"), [(0o600, None), (0o640, None), (0o644, "warning"), (0o620, "problem")]
)
def test_doctor_looks_at_the_keys_file(tmp_path: Path, mode: int, status: str | None) -> None:
    """For others to write it is what `up` refuses, to read it a warning."""
    key = tmp_path / "up.key"
    key.touch()
    key.chmod(mode)
    found = told(Settings(data_dir=str(tmp_path), up_key_file=str(key)), "up_key_file")
    assert [one.status for one in found] == ([] if status is None else [status])


def test_doctor_says_that_the_keys_file_is_not_there(tmp_path: Path) -> None:
    """A setting that names nothing is a problem, not an error of doctor."""
    settings = Settings(data_dir=str(tmp_path), up_key_file=str(tmp_path / "none"))
    assert [one.status for one in told(settings, "up_key_file")] == ["problem"]


def test_up_says_at_its_start_what_wants_mending(tmp_path: Path) -> None:
    """One line for an end that is near, one for a key that anybody may read; and it runs."""
    end = dt.datetime.now(dt.timezone.utc) + 13 * DAY
    leaf = AUTHORITY.issue_cert("a.example.com", not_after=end)
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "up.pem"))
    leaf.private_key_pem.write_to_path(str(tmp_path / "up.key"))
    (tmp_path / "up.key").chmod(0o644)
    files = {"OTEL_LLM_UP_CERT_FILE": "up.pem", "OTEL_LLM_UP_KEY_FILE": "up.key"}
    variables = {name: str(tmp_path / file) for name, file in files.items()}
    process = start(tmp_path / "data", variables=variables)
    process.terminate()
    _, errors = process.communicate(timeout=PATIENCE_S)
    near, loose = errors.splitlines()
    assert x509.expiry(end, end - DAY) in near
    assert f"chmod o-r {tmp_path / 'up.key'}" in loose
    assert process.returncode == 0
