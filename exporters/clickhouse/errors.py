"""ClickHouse's errors: number, name, text, and the HTTP status a server would answer with."""

import re

from otel_llm.errors import StoreError

_MESSAGE = re.compile(r"Code: (\d+)\. (?:DB::Exception: )?(.*)", re.DOTALL)
_INCOMING = re.compile(r"(: )?\(in file/uri /proc/self/fd/\d+\)")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)(?: \(version [^)]*\))?\s*\Z")

SYNTAX_ERROR = 62
ACCESS_DENIED = 497
AUTHENTICATION_FAILED = 516

# HTTPHandler's exceptionCodeToHTTPStatus, for the codes that this interface can meet.
_STATUS: dict[int, int] = {
    **dict.fromkeys((192, 193, ACCESS_DENIED, AUTHENTICATION_FAILED), 403),
    194: 401,
    **dict.fromkeys((6, 26, 27, 32, 33, 36, 38, 41, 43, 44, 53, 62), 400),
    **dict.fromkeys((69, 70, 72, 117, 167, 252, 441, 444, 456, 457), 400),
    **dict.fromkeys((16, 46, 47, 50, 56, 60, 73, 81, 115), 404),
    159: 408,
    **dict.fromkeys((62000, 396), 413),
    48: 501,
    **dict.fromkeys((76, 202, 241, 243), 503),
}


class EngineError(StoreError):
    """A statement failed in ClickHouse.

    Attributes:
        code: ClickHouse's number, 1002 if it gave none.
        name: ClickHouse's name for it.
        detail: the text without number and name.
    """

    def __init__(self, code: int, detail: str, name: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {detail} ({name})")
        self.code, self.detail, self.name = code, detail, name

    @classmethod
    def parse(cls, text: str) -> "EngineError":
        """Read the error from chDB's text."""
        found = _MESSAGE.search(text)
        if found is None:
            return cls(1002, text, "UNKNOWN_EXCEPTION")
        detail = _INCOMING.sub("", found[2].split("Stack trace", 1)[0]).strip()
        code = int(found[1])
        name = _NAME.search(detail)
        if name is None:
            return cls(code, detail, "UNKNOWN_EXCEPTION")
        return cls(code, detail[: name.start()].strip(), name[1])

    @property
    def http_status(self) -> int:
        """The status with which a ClickHouse server answers."""
        return _STATUS.get(self.code, 500)


_WAITED_OUT = frozenset({252})
"""TOO_MANY_PARTS: the server asks for time, whatever status it says so with."""


def http_status(error: BaseException) -> int | None:
    """The HTTP status behind a failure to insert; None if there was no answer.

    Args:
        error: of the client or the engine, or a `StoreError` around one.
    """
    detail = str(error)
    code = getattr(error.__cause__ or error, "code", None)
    if code in _WAITED_OUT:
        return 503
    if code is not None:
        return EngineError(code, "", "").http_status
    told = re.search(r"HTTP status (\d{3})", detail)
    return int(told[1]) if told else None
