"""Split a request's text into the statement and the data that follow an INSERT.

This is no judge: whatever it calls the statement is judged and run, whatever it calls data is only
ever parsed as rows. A wrong split can fail, but cannot let anything pass.
"""

import re
from typing import NamedTuple

# What is left open ends with the text, so that no text is gone through more than once.
_TOKEN = re.compile(
    rb"""
      (?P<skip>\s+ | --[^\n]* | \#[!\ ][^\n]* | /\*.*?(?:\*/|\Z))
    | (?P<quoted>
        '(?:\\.|''|[^'\\])*(?:'|\\?\Z)
      | "(?:\\.|""|[^"\\])*(?:"|\\?\Z)
      | `(?:\\.|``|[^`\\])*(?:`|\\?\Z)
      )
    | (?P<word>\w+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_AFTER_FORMAT = re.compile(rb"[ \t\f]*\r?\n?")
_LONGEST_HEAD = 256 * 1024


class Split(NamedTuple):
    """A request's text, split.

    Attributes:
        statement: text to judge; of an INSERT with data, without its FORMAT or VALUES clause.
        format: format of the data, or None where the statement takes no data.
        data: the rows.
    """

    statement: bytes
    format: str | None
    data: bytes


def split(text: bytes) -> Split:
    """Split `text` after the FORMAT or VALUES clause of an INSERT; else all of it is statement."""
    words = 0
    depth = 0
    previous, before = b"", 0
    for token in _TOKEN.finditer(text, 0, _LONGEST_HEAD):
        if token.lastgroup == "skip":
            continue
        value = token[0].lower()
        if words == 0 and value != b"insert":
            break
        words += 1
        depth += {b"(": 1, b")": -1}.get(value, 0)
        if token.lastgroup == "word" and not depth:
            if value in (b"select", b"with"):
                break
            if previous == b"format":
                return Split(text[:before], _text(token[0]), _rows(text, token.end()))
            if value == b"values" and previous not in (b"into", b"table", b"."):
                return Split(text[: token.start()], "Values", text[token.end() :])
        previous, before = value, token.start()
    return Split(text.strip().rstrip(b";"), None, b"")


def _rows(text: bytes, position: int) -> bytes:
    """What follows the format's name: blanks and one line end are not data."""
    blanks = _AFTER_FORMAT.match(text, position)
    return text[blanks.end() if blanks else position :]


def _text(word: bytes) -> str:
    return word.decode("ascii", errors="replace")
