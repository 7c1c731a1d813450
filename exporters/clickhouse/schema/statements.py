"""The numbered files, and what their comments say of each table."""

import functools
import hashlib
import re
from importlib.resources import files
from typing import Literal, NamedTuple

Kind = Literal["TABLE", "VIEW", "MATERIALIZED VIEW"]

_CREATES = re.compile(
    r"^CREATE (?P<kind>TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS (?P<name>\w+)", re.MULTILINE
)
_SHARDED = re.compile(r"^-- shard by (.+)$", re.MULTILINE)
_KEPT = re.compile(r"^-- keep (\d+) days by (.+)$", re.MULTILINE)
_DAY_S = 86_400


class Statement(NamedTuple):
    """One file of the schema.

    Attributes:
        version: number at the start of the file's name.
        name: the file's name.
        sql: its text.
    """

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum of the text, to notice a file changed after it was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def creates(self) -> tuple[Kind, str]:
        """What the statement makes, and its name.

        Raises:
            ValueError: it makes nothing.
        """
        found = _CREATES.search(self.sql)
        if found is None:
            message = f"{self.name} makes no table and no view"
            raise ValueError(message)
        return found["kind"], found["name"]  # type: ignore[return-value]  # the pattern's words

    @property
    def shard_by(self) -> str:
        """Expression by which a cluster spreads inserts; empty if nobody inserts into it."""
        found = _SHARDED.search(self.sql)
        return found[1] if found else ""


class Lifetime(NamedTuple):
    """How long a table keeps its rows.

    Attributes:
        table: its name.
        moment: expression of a row's age, a DateTime.
        seconds: how long; 0 for ever.
    """

    table: str
    moment: str
    seconds: int

    @property
    def ttl(self) -> str:
        """The table's TTL expression as ClickHouse prints it; empty for ever."""
        if not self.seconds:
            return ""
        days, rest = divmod(self.seconds, _DAY_S)
        interval = f"toIntervalSecond({self.seconds})" if rest else f"toIntervalDay({days})"
        return f"{self.moment} + {interval}"


@functools.cache
def statements() -> tuple[Statement, ...]:
    """All statements of the schema, in the order of their numbers."""
    found = [
        Statement(int(file.name.split("_", 1)[0]), file.name, file.read_text(encoding="utf-8"))
        for file in files(__package__).iterdir()
        if file.name.endswith(".sql")
    ]
    return tuple(sorted(found))


def lifetimes() -> tuple[Lifetime, ...]:
    """How long each table keeps its rows unless a setting says otherwise."""
    kept = [(statement.creates[1], _KEPT.search(statement.sql)) for statement in statements()]
    return tuple(Lifetime(name, found[2], int(found[1]) * _DAY_S) for name, found in kept if found)
