"""The functions a statement may call, worked out from the engine's own table of them."""

import json
from typing import NamedTuple

from otel_llm.exporters.clickhouse.door import policy
from otel_llm.exporters.clickhouse.engine.embedded import Handle

_ASK = """SELECT groupArray((name, alias_to, is_aggregate = 1, case_insensitive = 1, categories))
FROM system.functions"""
_COMBINATORS = "SELECT groupArray(name) FROM system.aggregate_function_combinators"


class FunctionTable(NamedTuple):
    """Names of the allowed functions.

    Attributes:
        exact: names as written.
        folded: lower-case names of those that ignore case.
        aggregates: names of aggregate functions, which combinators may follow.
        combinators: suffixes such as If and Array.
        others: lower-case names of the engine's functions that are not allowed.
    """

    exact: frozenset[str]
    folded: frozenset[str]
    aggregates: frozenset[str]
    combinators: tuple[str, ...]
    others: frozenset[str]

    @classmethod
    def read(cls, handle: Handle) -> "FunctionTable":
        """Read the engine's functions and keep those that policy allows."""
        (rows,) = json.loads(handle.run(_ASK, "JSONCompactEachRow"))
        (combinators,) = json.loads(handle.run(_COMBINATORS, "JSONCompactEachRow"))
        allowed = {row[0] for row in rows if _allowed(row[0], row[2], row[4])}
        usable = [row for row in rows if row[0] in allowed or row[1] in allowed]
        table = cls(
            exact=frozenset(row[0] for row in usable) | policy.FUNCTIONS,
            folded=frozenset(row[0].lower() for row in usable if row[3]),
            aggregates=frozenset(row[0] for row in usable if row[2]),
            combinators=tuple(combinators),
            others=frozenset(),
        )
        others = (row[0] for row in rows if not table.allows(row[0]))
        return table._replace(others=frozenset(name.lower() for name in others))

    def forbids(self, name: str) -> bool:
        """Whether the engine might take `name` for a function that is not allowed.

        Higher-order functions take a function's bare name: `arrayMap(file, …)`.
        """
        return name.lower() in self.others and not self.allows(name)

    def allows(self, name: str) -> bool:
        """Whether a statement may call `name`."""
        return name in self.exact or name.lower() in self.folded or self._combined(name)

    def _combined(self, name: str) -> bool:
        """Whether `name` is an aggregate function with combinators after it."""
        for suffix in self.combinators:
            base = name.removesuffix(suffix)
            if base != name and (
                base in self.aggregates or base.lower() in self.folded or self._combined(base)
            ):
                return True
        return False


def _allowed(name: str, aggregate: bool, kinds: str) -> bool:
    if name in policy.FORBIDDEN_FUNCTIONS:
        return False
    if aggregate or name in policy.FUNCTIONS:
        return True
    categories = {kind.strip() for kind in kinds.split(",")}
    return categories <= policy.FUNCTION_CATEGORIES
