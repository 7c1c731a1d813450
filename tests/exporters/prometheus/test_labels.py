"""Labels within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from otel_llm.conventions import MAX_TENANTS, OTHER_TENANT
from otel_llm.exporters.prometheus import TenantLabels


def test_later_names_share_one_label() -> None:
    """The first names keep theirs, also after the bound is reached."""
    labels = TenantLabels(limit=2)
    given_labels = [labels.label(name) for name in ("a", "b", "c", "a", "d")]
    assert given_labels == ["a", "b", OTHER_TENANT, "a", OTHER_TENANT]


@given(st.lists(st.text()))
def test_the_number_of_labels_is_bounded(names: list[str]) -> None:
    """However many names there are, labels are at most the bound and one."""
    labels = TenantLabels(limit=3)
    assert len({labels.label(name) for name in names} - {OTHER_TENANT}) <= 3


def test_default_bound() -> None:
    """Two hundred tenants have a label of their own."""
    labels = TenantLabels()
    assert len({labels.label(str(number)) for number in range(500)}) == MAX_TENANTS + 1
