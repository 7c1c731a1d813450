"""What the log says of a device that is not read here, and how loud."""

import logging
from typing import Literal

Why = Literal["", "elsewhere", "asked", "spare", "unusable", "left"]
"""Why a device is not ours: another agent reads it though engines of ours are on it (`asked` while
it may still leave it to us), none of ours are (`spare`), or only its own are (`left`); or a lock
cannot be used."""

_AGAIN = (
    "Until then this agent does not read it, for its energy would be charged twice; requests of "
    "its engines have none of it. It is tried again every {again_s:g} s"
)
_TEXTS: dict[Why, str] = {
    "asked": "is read by another agent on this host ({pid}). Engines that this one watches are on "
    "it: an agent without any leaves it to this one within seconds",
    "spare": "is read by another agent on this host ({pid}). No engines that this one watches are "
    "on it, so that nothing is missed here",
    "elsewhere": "is read by another agent on this host ({pid}). Stop one of both, or set "
    "OTEL_LLM_DEVICES=none for it. " + _AGAIN,
    "unusable": "cannot be claimed: {path} cannot be used ({error}). Let this user write there, or "
    "name a directory that all agents of the host share in OTEL_LLM_DEVICE_CLAIM_DIR. " + _AGAIN,
    "left": "is left to another agent on this host: engines that it watches are on it, and none "
    "that this one does",
}


def level(why: Why) -> int:
    """A warning where something is missed, and does not mend itself."""
    return logging.WARNING if why in ("elsewhere", "unusable") else logging.INFO


def text(why: Why, again_s: float, **what: object) -> str:
    """A sentence that follows the device's name.

    Args:
        why: it is not read.
        again_s: it is tried again after so long, in seconds.
        what: is to be said of it: `pid` of whoever reads it; or `path` and `error`.
    """
    return _TEXTS[why].format(again_s=again_s, **what)
