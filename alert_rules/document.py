"""YAML files whose every value knows its line, so that an error can say where to look."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import yaml

from otel_llm.errors import SpecError

_T = TypeVar("_T")
_AT = re.compile(r" - at `(?P<path>[^`]+)`$")
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]+)`")


class Document(NamedTuple):
    """One YAML document.

    Attributes:
        file: its file, for messages.
        data: what it holds.
        lines: line of each value, by path: `$.indicator.metric`, `$.windows[0].long`.
    """

    file: str
    data: Any
    lines: Mapping[str, int]

    def line(self, path: str) -> int:
        """Line of a value, or of the nearest thing around it that is written."""
        while path not in self.lines and path != "$":
            path = re.sub(r"(\.[^.\[]*|\[[^\]]*\])$", "", path) or "$"
        return self.lines.get(path, 1)

    def error(self, path: str, problem: str, remedy: str) -> SpecError:
        """An error about a value."""
        return SpecError(self.file, self.line(path), problem, remedy)

    def convert(self, kind: type[_T]) -> _T:
        """The document as a struct.

        Raises:
            SpecError: a field is unknown, missing or of another kind.
        """
        try:
            return msgspec.convert(self.data, kind)
        except msgspec.ValidationError as error:
            raise self._told(str(error), kind) from error

    def _told(self, message: str, kind: type) -> SpecError:
        at = _AT.search(message)
        path = at["path"] if at else "$"
        problem = _AT.sub("", message)
        if missing := _MISSING.search(problem):
            return self.error(path, problem, f"Add `{missing['field']}`")
        if unknown := _UNKNOWN.search(problem):
            field = unknown["field"]
            near = difflib.get_close_matches(field, {*_fields(kind)} - {field}, 1)
            remedy = f"Did you mean `{near[0]}`" if near else "docs/alerts.md lists the fields"
            return self.error(f"{path}.{field}", problem, remedy)
        known = _fields(kind).get(path.rpartition(".")[2], [])
        mend = f"Mend {path.removeprefix('$').lstrip('.') or 'the document'}"
        return self.error(path, problem, f"Write {' or '.join(known)}" if known else mend)


def _fields(kind: type) -> dict[str, list[str]]:
    """All fields of a struct and of the structs inside it, with their values where few are left."""
    _, schemas = msgspec.json.schema_components([kind])
    found: dict[str, list[str]] = {}
    for schema in schemas.values():
        for name, field in schema.get("properties", {}).items():
            found.setdefault(name, []).extend(field.get("enum", []))
    return found


def read(path: Path) -> list[Document]:
    """All documents of a file.

    Raises:
        SpecError: it cannot be read, is no YAML, or has a key twice.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(str(path), 1, f"cannot be read: {error}", "Name a YAML file") from error
    return parse(str(path), source)


def parse(file: str, source: str) -> list[Document]:
    """All documents of a text.

    Raises:
        SpecError: it is no YAML, or has a key twice.
    """
    try:
        return list(_documents(file, source))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        line = mark.line + 1 if mark else 1
        raise SpecError(file, line, problem, "Mend the YAML") from error
    except RecursionError as error:
        raise SpecError(file, 1, "is nested without end", "Mend the YAML") from error


def _documents(file: str, source: str) -> Iterator[Document]:
    loader = yaml.SafeLoader(source)
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None, "a node was announced"  # noqa: S101
            lines: dict[str, int] = dict(_lines(file, node, "$"))
            yield Document(file, loader.construct_document(node), lines)
    finally:
        loader.dispose()


def _lines(file: str, node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _lines(file, item, f"{path}[{number}]")
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise SpecError(file, line, f"`{name}` is there twice", "Keep one of them")
            seen.add(name)
            yield from _lines(file, value, f"{path}.{name}")
            yield f"{path}.{name}", line
