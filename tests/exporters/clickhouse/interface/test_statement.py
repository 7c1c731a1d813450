"""Splitting a request's text into statement and data."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.exporters.clickhouse.interface.statement import split


@pytest.mark.parametrize(
    ("text", "statement", "fmt", "data"),
    [
        (b"SELECT 1;", b"SELECT 1", None, b""),
        (b"INSERT INTO t FORMAT CSV\n1,2\n", b"INSERT INTO t ", "CSV", b"1,2\n"),
        (b"INSERT INTO t FORMAT CSV 1,2", b"INSERT INTO t ", "CSV", b"1,2"),
        (b"insert into t format\nNative\r\n\n\x00", b"insert into t ", "Native", b"\n\x00"),
        (b"INSERT INTO t (a) VALUES (1)", b"INSERT INTO t (a) ", "Values", b" (1)"),
        (b"INSERT INTO t (`values`) FORMAT CSV\n1", b"INSERT INTO t (`values`) ", "CSV", b"1"),
        (b"INSERT INTO values VALUES (1)", b"INSERT INTO values ", "Values", b" (1)"),
        (b"INSERT INTO t (format) FORMAT CSV\n1", b"INSERT INTO t (format) ", "CSV", b"1"),
        (b"/* FORMAT X */ INSERT INTO t -- FORMAT Y\n FORMAT CSV\n1",
         b"/* FORMAT X */ INSERT INTO t -- FORMAT Y\n ", "CSV", b"1"),
        (b"INSERT INTO t SETTINGS a = 'FORMAT X' FORMAT CSV\n1",
         b"INSERT INTO t SETTINGS a = 'FORMAT X' ", "CSV", b"1"),
        (b"INSERT INTO t SELECT * FROM values('a Int8', 1)",
         b"INSERT INTO t SELECT * FROM values('a Int8', 1)", None, b""),
        (b"", b"", None, b""),
    ],
)  # fmt: skip
def test_splits(text: bytes, statement: bytes, fmt: str | None, data: bytes) -> None:
    """The statement ends before FORMAT or VALUES; one line end after it is not data."""
    assert split(text) == (statement, fmt, data)


@given(head=st.sampled_from(["t", "t (a, b)", "d.`t`", "t SETTINGS a = 'b'"]), data=st.binary())
def test_data_is_never_changed(head: str, data: bytes) -> None:
    """Whatever the bytes, what follows the line end is the data."""
    text = f"INSERT INTO {head} FORMAT RowBinary\n".encode() + data
    assert split(text).data == data


@given(st.binary(max_size=200))
def test_any_bytes_can_be_split(text: bytes) -> None:
    """No text makes the splitter fail, and nothing of a non-INSERT is taken for data."""
    found = split(text)
    assert found.format is not None or found.data == b""


@pytest.mark.parametrize("open_end", [b"'", b'"', b"`", b"/*"])
@pytest.mark.parametrize("rest", [b"\\'", b'\\"', b"\\`", b"/*", b"''", b"\\"])
def test_an_open_end_is_gone_through_once(open_end: bytes, rest: bytes) -> None:
    """A quote or comment that nobody closes takes no longer than its length asks for."""
    text = b"INSERT " + open_end + rest * 100_000
    started = time.process_time()
    assert split(text) == (text, None, b"")
    assert time.process_time() - started < 2
