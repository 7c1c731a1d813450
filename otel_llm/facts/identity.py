"""Where a process runs: in which container, pod, job and machine, and in which versions.

Every field is text, empty where it is not known. It stands once in a journal's header; facts refer
to it by their writer's `instance_id`.
"""

from collections.abc import Iterator

import msgspec

MAX_TEXT = 200
"""Longest value, in characters."""
MAX_BYTES = 3_500
"""All of them together, as JSON: a journal's header has room for that beside the devices."""


class Identity(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What could be found without privileges.

    Attributes:
        host_arch: processor architecture, as the kernel names it.
        container_id: 64 hex digits.
        container_runtime: docker, containerd, cri-o or podman.
        k8s_pod, k8s_pod_uid, k8s_namespace, k8s_node, k8s_container: names and uid of the pod's.
        k8s_owner_kind: Deployment, StatefulSet, DaemonSet or Job.
        k8s_owner: the owner's name.
        kueue_queue: Kueue's queue of the workload.
        volcano_job, volcano_queue: Volcano's job and queue.
        slurm_job_id, slurm_step_id, slurm_job_name, slurm_partition, slurm_node: of Slurm's step.
        cloud_provider: aws, gcp, azure or another.
        cloud_region, cloud_zone: where.
        cloud_instance_type: the provider's name of the machine's type.
        cloud_spot: `true` for a machine that may be taken away, `false` for one that is told not
            to be.
        model_version: registry tag or revision of the served model.
        driver_version: NVIDIA's kernel driver.
        cuda_version: CUDA of the image.
        host_id: of the machine: the cloud's, else that of /etc/machine-id.
        slurm_cluster, slurm_account, slurm_array_task: the task as `JOB_TASK`.
        ray_cluster, ray_job_id: of Ray.
    """

    host_arch: str = ""
    container_id: str = ""
    container_runtime: str = ""
    k8s_pod: str = ""
    k8s_pod_uid: str = ""
    k8s_namespace: str = ""
    k8s_node: str = ""
    k8s_container: str = ""
    k8s_owner_kind: str = ""
    k8s_owner: str = ""
    kueue_queue: str = ""
    volcano_job: str = ""
    volcano_queue: str = ""
    slurm_job_id: str = ""
    slurm_step_id: str = ""
    slurm_job_name: str = ""
    slurm_partition: str = ""
    slurm_node: str = ""
    cloud_provider: str = ""
    cloud_region: str = ""
    cloud_zone: str = ""
    cloud_instance_type: str = ""
    cloud_spot: str = ""
    model_version: str = ""
    driver_version: str = ""
    cuda_version: str = ""
    host_id: str = ""
    slurm_cluster: str = ""
    slurm_account: str = ""
    slurm_array_task: str = ""
    ray_cluster: str = ""
    ray_job_id: str = ""

    def attributes(self) -> Iterator[tuple[str, str]]:
        """Resource attributes of what is known: names of the conventions, else ours."""
        # An engine never asks, and need not pay for the import.
        from otel_llm.conventions.identity import ATTRIBUTES, OWNERS

        for field, key in ATTRIBUTES.items():
            value = getattr(self, field)
            if value:
                yield key, value
        owner = OWNERS.get(self.k8s_owner_kind)
        if owner is not None and self.k8s_owner:
            yield owner, self.k8s_owner
