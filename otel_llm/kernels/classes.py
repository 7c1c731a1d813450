"""What kind of work a kernel does, told by its name.

The patterns stand in `classes.toml`, in the order in which they are tried. A name is looked at once
and remembered, so that a kernel launched a million times costs one search.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

import msgspec

from otel_llm.kernels.names import said

OTHER = "other"
COLLECTIVE = "collective"
COPIES = ("memcpy", "memset")
MOST_REMEMBERED = 65_536
"""Names that a classifier remembers; past that it forgets all and begins again."""


class Pattern(NamedTuple):
    """One line of the data.

    Attributes:
        kind: the class it stands for.
        match: a regular expression, looked for anywhere in a name.
        source: projects whose kernels it was written for.
        example: the name of one.
    """

    kind: str
    match: re.Pattern[str]
    source: str
    example: str


class Classifier:
    """Classes by name.

    Args:
        patterns: in the order in which they are tried; the first that fits decides.
    """

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._patterns = tuple(patterns)
        self._known: dict[str, str] = {}

    @property
    def classes(self) -> tuple[str, ...]:
        """Every class there is, in the order of the data, `other` last."""
        return (*dict.fromkeys(pattern.kind for pattern in self._patterns), OTHER)

    def __call__(self, name: str) -> str:
        """The class of a kernel's name, mangled or not."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            known = self._known[name] = self._look(name)
        return known

    def fitting(self, name: str) -> tuple[str, ...]:
        """All classes whose patterns fit, the one that decides first."""
        text = said(name)
        kinds = (each.kind for each in self._patterns if each.match.search(text))
        return tuple(dict.fromkeys(kinds))

    def all_of(self, names: Sequence[str]) -> list[str]:
        """The class of each name."""
        return [self(name) for name in names]

    def _look(self, name: str) -> str:
        text = said(name)
        for pattern in self._patterns:
            if pattern.match.search(text):
                return pattern.kind
        return OTHER


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    kind: str = msgspec.field(name="class")
    match: str
    source: str
    example: str


class _Data(msgspec.Struct, forbid_unknown_fields=True):
    pattern: list[_Line]


@cache
def patterns() -> tuple[Pattern, ...]:
    """The patterns of `classes.toml`, compiled once."""
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    text = resources.files("otel_llm.kernels").joinpath("classes.toml").read_text("utf-8")
    lines = msgspec.convert(tomllib.loads(text), _Data).pattern
    return tuple(
        Pattern(line.kind, re.compile(line.match, re.IGNORECASE), line.source, line.example)
        for line in lines
    )


@cache
def classifier() -> Classifier:
    """The classifier that everyone in this process shares."""
    return Classifier(patterns())
