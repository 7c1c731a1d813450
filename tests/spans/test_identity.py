"""Spans carry where their process runs."""

import msgspec

from otel_llm.conventions.identity import ATTRIBUTES
from otel_llm.facts.identity import Identity
from otel_llm.spans.common import resource
from tests.agent.builders import ENGINE


def test_resource_attributes() -> None:
    """What is known has its attribute, the owner by its kind; what is not known has none."""
    identity = Identity(k8s_pod="p", k8s_owner_kind="Job", k8s_owner="j", slurm_job_id="7")
    told = resource(msgspec.structs.replace(ENGINE, identity=identity)).attributes
    made = {pair.key: pair.value.string_value for pair in told}
    assert (made["k8s.pod.name"], made["k8s.job.name"], made["otel_llm.slurm.job.id"]) == (
        "p", "j", "7",
    )  # fmt: skip
    assert made["service.name"] == ENGINE.service
    assert "k8s.node.name" not in made


def test_every_field_has_an_attribute() -> None:
    """But the owner's, whose attribute depends on its kind."""
    assert set(Identity.__struct_fields__) - set(ATTRIBUTES) == {"k8s_owner", "k8s_owner_kind"}
