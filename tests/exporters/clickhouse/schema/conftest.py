"""Databases of a test's own, and the schema as a later version of the program has it."""

import importlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine

# The package's attribute of this name is the function.
_MODULE = importlib.import_module("otel_llm.exporters.clickhouse.schema.statements")
_NUMBERS = count()

AddFiles = Callable[..., list[str]]


@pytest.fixture
def own(engine: Engine) -> Iterator[Client]:
    """A client of a new database with the schema and its retention applied."""
    with closing(engine.client()) as client:
        name = f"own{next(_NUMBERS)}"
        client.command(f"CREATE DATABASE {name}")
        client.database = name
        schema.apply(client)
        schema.apply_retention(client, ())
        yield client


@pytest.fixture
def add_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AddFiles]:
    """Lets the schema have more files, with these texts; gives their names."""

    def add(*texts: str) -> list[str]:
        first = len(schema.statements()) + 1
        for file in Path(str(_MODULE.__file__)).parent.glob("*.sql"):
            shutil.copy(file, tmp_path)
        names = [f"{number:04}_later.sql" for number in range(first, first + len(texts))]
        for name, text in zip(names, texts, strict=True):
            (tmp_path / name).write_text(text, encoding="utf-8")
        monkeypatch.setattr(_MODULE, "files", lambda _package: tmp_path)
        schema.statements.cache_clear()
        return names

    yield add
    monkeypatch.undo()
    schema.statements.cache_clear()
