"""The version of the served model, by what its registry left beside it."""

import re
from pathlib import PurePosixPath

from otel_llm.identity.places import Places

_SNAPSHOT = re.compile(r"/models--[^/]+/snapshots/([0-9a-f]{40})(?:/|$)")
_REGISTERED = re.compile(r"^model_version: *['\"]?([^'\"\s]+)", re.MULTILINE)
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def model_version(places: Places, source: str, revision: str) -> str:
    """The version of a model; the revision that was asked for if nothing tells more.

    MLflow leaves `registered_model_meta` in what it downloads from a registry. Hugging Face's cache
    holds a model under its commit, and names the commit of each branch in `refs`.

    Args:
        places: where to look.
        source: the model's folder, or its name on Hugging Face.
        revision: branch, tag or commit that was asked for; may be empty.
    """
    registered = _REGISTERED.search(places.text(_file(source, "registered_model_meta")))
    snapshot = _SNAPSHOT.search(source)
    if source.startswith("/") and (registered or snapshot):
        return registered[1] if registered else snapshot[1] if snapshot else ""
    if _REPOSITORY.fullmatch(source):
        reference = f"models--{source.replace('/', '--')}/refs/{revision or 'main'}"
        return places.text(_file(_cache(places), reference)) or revision
    return revision


def _cache(places: Places) -> str:
    """Hugging Face's cache. Source: huggingface_hub, "Environment variables"."""
    named = places.variable("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")
    home = places.variable("HF_HOME")
    own = f"{places.variable('XDG_CACHE_HOME') or places.variable('HOME') + '/.cache'}/huggingface"
    return named or f"{home or own}/hub"


def _file(folder: str, name: str) -> str:
    """A path below the root."""
    return str(PurePosixPath(folder) / name).lstrip("/")
