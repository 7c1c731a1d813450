"""Requests that cannot be read are the caller's mistake, never a failure of the server."""

import httpx
import pytest

from otel_llm.collector.stack import Stack
from tests.waiting import PATIENCE_S


def ask(stack: Stack, **request: object) -> httpx.Response:
    """POST to the stack with its token."""
    auth = ("otel_llm", stack.run.token)
    with httpx.Client(
        base_url=stack.run.clickhouse_url, auth=auth, trust_env=False, timeout=PATIENCE_S
    ) as client:
        return client.post("/", **request)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["9" * 5000, "9" * 11, "x", "-1", "", "\u0661", "1\n"])
def test_a_protocol_version_is_a_short_number(stack: Stack, value: str) -> None:
    """Other than one to ten digits is answered 400, and long values are not repeated."""
    answer = ask(stack, params={"client_protocol_version": value}, content="SELECT 1")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "36")
    assert "at most 10 digits" in answer.text
    assert len(answer.text) < 300


def test_a_protocol_version_of_ten_digits_is_taken(stack: Stack) -> None:
    """The bound is beyond every revision there is."""
    given = {"client_protocol_version": "9" * 10}
    assert ask(stack, params=given, content="SELECT 1").text == "1\n"


@pytest.mark.parametrize("name", ["query", "param_a", "database"])
def test_a_form_field_that_is_not_utf8_is_refused(stack: Stack, name: str) -> None:
    """The answer is 400 and tells at which byte."""
    answer = ask(stack, files={name: (None, b"ab\xff")})
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "36")
    assert "not UTF-8 at its byte 2" in answer.text


def test_a_file_behind_a_function_s_name_is_not_served(stack: Stack) -> None:
    """A function's bare name as argument is refused over the wire, also as a parameter."""
    direct = ask(stack, content="SELECT arrayMap(file, ['/etc/hostname'])")
    given = {"param_f": "file"}
    named = ask(stack, params=given, content="SELECT arrayMap({f:Identifier}, ['/etc/hostname'])")
    assert [direct.status_code, named.status_code] == [403, 403]
