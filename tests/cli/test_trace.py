"""`otel-llm trace`: the waterfall."""

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from tests.cli.conftest import Run
    from tests.query.conftest import Snapshot

RETRIED = b"retried".hex()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_waterfall(
    run_on_sample: "Run", snapshot: "Snapshot", monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """A retried, preempted call at each width; nothing is wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    result = run_on_sample("trace", RETRIED, "--unicode")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= width
    snapshot(f"trace-{width}.txt", result.stdout)


@pytest.mark.parametrize("name", ["twice", "gone", "shed", "broken", "died", "waited"])
def test_other_outcomes(run_on_sample: "Run", snapshot: "Snapshot", name: str) -> None:
    """Samples, cancelled, shed, failed and orphaned calls show what is known, in ASCII here."""
    result = run_on_sample("trace", name.encode().hex())
    assert result.exit_code == 0, result.output
    assert result.stdout.isascii()
    snapshot(f"trace-{name}.txt", result.stdout)


def test_a_request_without_a_call(run_on_sample: "Run", snapshot: "Snapshot") -> None:
    """A request that came straight to the engine has its own waterfall, and a note."""
    result = run_on_sample("trace", "cmpl-direct-0")
    snapshot("trace-direct.txt", result.stdout)
    assert "No gateway has recorded this call" in result.stdout


def test_percentages_add_up(run_on_sample: "Run") -> None:
    """The last line's shares are 100 % together."""
    text = run_on_sample("trace", RETRIED).stdout
    shares = text[text.index("Where") :].replace("\n", " ").split(": ")[1].split(", ")
    assert sum(round(10 * float(share.split()[-1].rstrip("%"))) for share in shares) == 1000


def test_json_has_the_whole_structure(run_on_sample: "Run") -> None:
    """Every layer is in the JSON, which is one line."""
    found = json.loads(run_on_sample("trace", RETRIED, "--json").stdout)
    assert found["call"]["attempts"] == len(found["attempts"]) == 2
    (engine,) = found["engines"]
    assert len(engine["steps"]) == 61
    assert {kernel["name"] for kernel in engine["kernels"]} >= {"attention", "gemm_qkv"}
    assert set(found["first_tokens"]) == {"ttft_caller_s", "ttft_engine_s", "core_first_token_s"}


def test_a_tenants_view(run_on_sample: "Run") -> None:
    """A tenant sees that others were there, not who; of others' calls it sees nothing."""
    own = run_on_sample("trace", RETRIED, "--tenant", "acme").stdout
    assert "shared with 6 other requests" in own
    assert "globex" not in own
    other = run_on_sample("trace", RETRIED, "--tenant", "globex")
    assert other.exit_code == 1
    assert "Nothing carries the id" in other.stderr


def test_an_ambiguous_id_lists_its_calls(run_on_sample: "Run") -> None:
    """More than one candidate: they are listed, nothing is guessed."""
    result = run_on_sample("trace", "cmpl-")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Choose one" in result.stderr
    assert (RETRIED + "c" * 32)[:32] in result.stderr


def test_requests_that_share_an_id_are_told_apart(
    run_on_sample: "Run", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two direct requests of one id: each line has an id that names its request alone."""
    from otel_llm.query import identify
    from otel_llm.query.rows import Match

    def match(trace: str, instance: str) -> Match:
        return Match(
            kind="request", field="api request id", value="cmpl-1", time_ns=10**18, call_id="",
            trace_id=trace, instance_id=instance, request_index=1, api_request_id="cmpl-1",
        )  # fmt: skip

    found = [match("a" * 32, "one"), match("b" * 32, "two")]
    monkeypatch.setattr(identify, "identify", lambda *_: found)
    result = run_on_sample("trace", "cmpl-1")
    assert result.exit_code == 1
    ids = [line.split()[0] for line in result.stderr.splitlines() if line.startswith("  ")]
    assert ids == ["a" * 32, "b" * 32]
    assert "2001-09-09" in result.stderr


def test_too_short(run_on_sample: "Run") -> None:
    """Three characters are no id."""
    result = run_on_sample("trace", "abc")
    assert (result.exit_code, "too short" in result.stderr) == (1, True)


def test_stored_spans(run_on_sample: "Run") -> None:
    """`--spans` lists what is stored of the trace: here the span that vLLM itself made."""
    result = run_on_sample("trace", "cmpl-direct-0", "--spans")
    assert result.exit_code == 0, result.output
    head, line = result.stdout.splitlines()
    assert head.split()[:4] == ["start", "duration", "service", "name"]
    assert line.split()[3:] != []
    assert "llm_request" in line
    [span] = json.loads(run_on_sample("trace", "cmpl-direct-0", "--spans", "--json").stdout)
    assert span["attributes"] == {"gen_ai.request.id": "cmpl-direct"}


def test_spans_without_facts_are_found_by_their_trace(
    run_on_sample: "Run", store: "Client"
) -> None:
    """A trace of which no fact speaks has spans all the same, but for a tenant it has none."""
    store.command(
        "INSERT INTO otel_traces (Timestamp, TraceId, SpanName) SELECT now64(9), 'lonely', 'web'"
    )
    result = run_on_sample("trace", "lonely", "--spans")
    assert "web" in result.stdout
    assert run_on_sample("trace", "lonely", "--spans", "--tenant", "acme").exit_code == 1
    assert run_on_sample("trace", "no-such-trace", "--spans").exit_code == 1
