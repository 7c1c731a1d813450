"""Labels that callers can invent are kept within bounds."""

from otel_llm.conventions import MAX_TENANTS, OTHER_TENANT


class TenantLabels:
    """The first `limit` tenants keep their name; later ones share `_other`.

    Args:
        limit: most distinct tenant labels.
    """

    def __init__(self, limit: int = MAX_TENANTS) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def label(self, tenant: str) -> str:
        """The label under which this tenant is counted."""
        if tenant in self._known:
            return tenant
        if len(self._known) < self._limit:
            self._known.add(tenant)
            return tenant
        return OTHER_TENANT
