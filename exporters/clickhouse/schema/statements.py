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
_ALTERS = re.compile(r"^ALTER TABLE (\w+) ", re.MULTILINE)
_SELECTS = re.compile(r"^SELECT\b", re.MULTILINE)
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
    def creates(self) -> tuple[Kind, str] | None:
        """What the statement makes, and its name; None if it changes what an earlier one made."""
        found = _CREATES.search(self.sql)
        return (found["kind"], found["name"]) if found else None  # type: ignore[return-value]

    @property
    def table(self) -> str:
        """The table or view that the statement makes or changes.

        Raises:
            ValueError: it does neither.
        """
        found = _CREATES.search(self.sql) or _ALTERS.search(self.sql)
        if found is None:
            message = f"{self.name} makes or changes no table and no view"
            raise ValueError(message)
        return found[found.lastindex or 0]

    @property
    def of_view(self) -> bool:
        """Whether it makes a view or changes what one selects."""
        return _SELECTS.search(self.sql) is not None

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
    kept = [(each.table, _KEPT.search(each.sql)) for each in statements() if each.creates]
    return tuple(Lifetime(name, found[2], int(found[1]) * _DAY_S) for name, found in kept if found)
