"""All detectors, one after the other."""

import os
from collections.abc import Mapping
from pathlib import Path

from otel_llm.facts.identity import ATTRIBUTES, MAX_TEXT, Identity
from otel_llm.identity.container import container
from otel_llm.identity.kubernetes import kubernetes
from otel_llm.identity.machine import cloud, slurm, versions
from otel_llm.identity.places import Places


def detect(
    model_version: str = "",
    root: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
) -> Identity:
    """Find out where this process runs. Reads a dozen small files and asks nobody.

    Args:
        model_version: as the setting of that name says.
        root: where the file system begins.
        environment: `os.environ` if None.
    """
    places = Places(root, os.environ if environment is None else environment)
    found: dict[str, str] = {"model_version": model_version}
    for part in (container, kubernetes, slurm, cloud, versions):
        # A later part's word counts, if it has one.
        found.update({key: value for key, value in part(places).items() if value})
    for field, key in ATTRIBUTES.items():
        if places.attributes.get(key):
            found[field] = places.attributes[key]
    return Identity(**{key: _clean(value) for key, value in found.items() if value})


def _clean(text: str) -> str:
    """Within bounds, one line, and text in the end: variables may hold other bytes."""
    return "".join(c for c in text if c.isprintable() and not "\ud800" <= c <= "\udfff")[:MAX_TEXT]
