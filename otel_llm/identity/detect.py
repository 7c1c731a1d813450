"""All detectors, one after the other."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from otel_llm.conventions.identity import ATTRIBUTES
from otel_llm.facts.identity import MAX_BYTES, MAX_TEXT, Identity
from otel_llm.identity import model
from otel_llm.identity.container import container
from otel_llm.identity.kubernetes import kubernetes
from otel_llm.identity.machine import cloud, ray, slurm, versions
from otel_llm.identity.places import Places


class Survey(NamedTuple):
    """What was found, and what stood in the way.

    Attributes:
        identity: what is known.
        unreadable: files that are there and cannot be read, and why.
    """

    identity: Identity
    unreadable: Mapping[str, str]


def detect(
    model_version: str = "",
    root: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
    *,
    model_source: str = "",
    model_revision: str = "",
) -> Identity:
    """Find out where this process runs. Reads a dozen small files and asks nobody.

    Args:
        model_version: as the setting of that name says.
        root: where the file system begins.
        environment: `os.environ` if None.
        model_source: folder of the served model, or its name on Hugging Face.
        model_revision: branch, tag or commit of it that was asked for.
    """
    places = Places(root, os.environ if environment is None else environment)
    version = model_version or model.model_version(places, model_source, model_revision)
    return _identity(places, version)


def survey(
    model_version: str = "",
    root: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
) -> Survey:
    """The same, with what could not be read."""
    places = Places(root, os.environ if environment is None else environment)
    return Survey(_identity(places, model_version), places.unreadable)


def _identity(places: Places, model_version: str) -> Identity:
    found: dict[str, str] = {"model_version": model_version}
    for part in (container, kubernetes, slurm, ray, cloud, versions):
        # A later part's word counts, if it has one.
        found.update({key: value for key, value in part(places).items() if value})
    for field, key in ATTRIBUTES.items():
        if places.attributes.get(key):
            found[field] = places.attributes[key]
    return _fitting({key: _clean(value) for key, value in found.items() if value})


def _fitting(found: dict[str, str]) -> Identity:
    """Within the bytes that a journal's header has for it; the longest values are cut."""
    most = MAX_TEXT
    while len(json.dumps(found, ensure_ascii=False).encode()) > MAX_BYTES:
        most //= 2
        found = {key: value[:most] for key, value in found.items()}
    return Identity(**found)


def _clean(text: str) -> str:
    """Within bounds, one line, and text in the end: variables may hold other bytes."""
    return "".join(c for c in text if c.isprintable() and not "\ud800" <= c <= "\udfff")[:MAX_TEXT]
