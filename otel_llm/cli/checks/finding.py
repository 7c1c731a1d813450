"""One thing that the doctor looked at."""

from typing import Literal

import msgspec

Status = Literal["ok", "off", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True):
    """What was found, and what to do about it.

    Attributes:
        area: part of the stack.
        what: the thing looked at.
        status: `ok` works; `off` is not there, and nothing is broken without it; `warning` works
            and wants a look; `problem` breaks function.
        detail: what was found.
        remedy: what to do; empty if nothing.
    """

    area: str
    what: str
    status: Status
    detail: str
    remedy: str = ""
