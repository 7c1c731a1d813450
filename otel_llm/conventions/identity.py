"""Where a process runs: the columns of `llm_producers`, and the resource attribute of each."""

from typing import NamedTuple

from otel_llm.conventions.columns import LC, NODE, Column


class Told(NamedTuple):
    """One thing that is known of a process.

    Attributes:
        column: its column; named like the field of the fact.
        attribute: its resource attribute; empty for the owner, whose depends on its kind.
    """

    column: Column
    attribute: str


def _node(name: str, attribute: str) -> Told:
    """One that is the machine's, too: tables of devices have it."""
    return Told(next(column for column in NODE if column.name == name), attribute)


IDENTITY = (
    _node("host_arch", "host.arch"),
    Told(Column("container_id", "String", "64 hex digits"), "container.id"),
    Told(
        Column("container_runtime", LC, "docker, containerd, cri-o or podman"),
        "container.runtime.name",
    ),
    Told(Column("k8s_pod", "String", "pod"), "k8s.pod.name"),
    Told(Column("k8s_pod_uid", "String", "its uid"), "k8s.pod.uid"),
    Told(Column("k8s_namespace", LC, "namespace"), "k8s.namespace.name"),
    _node("k8s_node", "k8s.node.name"),
    Told(Column("k8s_container", LC, "container of the pod"), "k8s.container.name"),
    Told(Column("k8s_owner_kind", LC, "Deployment, StatefulSet, DaemonSet or Job"), ""),
    Told(Column("k8s_owner", LC, "its name"), ""),
    Told(Column("kueue_queue", LC, "Kueue's queue"), "otel_llm.kueue.queue"),
    Told(Column("volcano_job", LC, "Volcano's job"), "otel_llm.volcano.job"),
    Told(Column("volcano_queue", LC, "Volcano's queue"), "otel_llm.volcano.queue"),
    Told(Column("slurm_job_id", "String", "Slurm's job"), "otel_llm.slurm.job.id"),
    Told(Column("slurm_step_id", "String", "Slurm's step"), "otel_llm.slurm.step.id"),
    Told(Column("slurm_job_name", LC, "name of the job"), "otel_llm.slurm.job.name"),
    Told(Column("slurm_partition", LC, "partition"), "otel_llm.slurm.partition"),
    _node("slurm_node", "otel_llm.slurm.node"),
    _node("cloud_provider", "cloud.provider"),
    _node("cloud_region", "cloud.region"),
    _node("cloud_zone", "cloud.availability_zone"),
    _node("cloud_instance_type", "host.type"),
    _node("cloud_spot", "otel_llm.cloud.spot"),
    Told(
        Column("model_version", LC, "registry tag or revision of the model"),
        "otel_llm.model.version",
    ),
    Told(Column("driver_version", LC, "NVIDIA's kernel driver"), "otel_llm.driver.version"),
    Told(Column("cuda_version", LC, "CUDA of the image"), "otel_llm.cuda.version"),
)
IDENTITY_SINCE = (
    _node("host_id", "host.id"),
    Told(Column("slurm_cluster", LC, "Slurm's cluster"), "otel_llm.slurm.cluster"),
    Told(Column("slurm_account", LC, "account of the job"), "otel_llm.slurm.account"),
    Told(
        Column("slurm_array_task", "String", "job and task of an array, as 4711_3"),
        "otel_llm.slurm.array.task",
    ),
    Told(Column("ray_cluster", LC, "Ray's cluster"), "otel_llm.ray.cluster"),
    Told(Column("ray_job_id", "String", "Ray's job"), "otel_llm.ray.job.id"),
)
"""Added later: at the end of the table."""

ATTRIBUTES = {
    told.column.name: told.attribute for told in (*IDENTITY, *IDENTITY_SINCE) if told.attribute
}
"""Resource attribute of each field. Names without `otel_llm.` are those of
https://opentelemetry.io/docs/specs/semconv/registry/attributes/"""
OWNERS = {
    "Deployment": "k8s.deployment.name",
    "StatefulSet": "k8s.statefulset.name",
    "DaemonSet": "k8s.daemonset.name",
    "Job": "k8s.job.name",
}
"""Resource attribute of the owner, by its kind."""
