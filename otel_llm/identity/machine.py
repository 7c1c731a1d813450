"""The machine and what was scheduled on it: Slurm, cloud, driver and CUDA."""

import json
import os
import re
from typing import Any

from otel_llm.identity.container import container
from otel_llm.identity.places import Places

_DRIVER = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)")
_VENDORS = {"Amazon EC2": "aws", "Google": "gcp", "Microsoft Corporation": "azure"}
_CLOUDS = {"aws": "aws", "ec2": "aws", "gce": "gcp", "gcp": "gcp", "azure": "azure"}
_SPOT = {
    "karpenter.sh/capacity-type": "spot",
    "eks.amazonaws.com/capacityType": "spot",
    "cloud.google.com/gke-spot": "true",
    "cloud.google.com/gke-preemptible": "true",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
"""Labels of nodes, and the value that means a machine which may be taken away."""

_BOUGHT = {"spot": "true", "low": "true", "on-demand": "false", "regular": "false"}
"""How a machine was bought: `instance-life-cycle` of EC2, `priority` of Azure."""
_INSTANCE_DATA = "run/cloud-init/instance-data.json"


def slurm(places: Places) -> dict[str, str]:
    """Fields `slurm_*`, from the variables that srun sets (srun(1), "Output environment")."""
    array = (places.variable("SLURM_ARRAY_JOB_ID"), places.variable("SLURM_ARRAY_TASK_ID"))
    return {
        "slurm_job_id": places.variable("SLURM_JOB_ID", "SLURM_JOBID"),
        "slurm_step_id": places.variable("SLURM_STEP_ID", "SLURM_STEPID"),
        "slurm_job_name": places.variable("SLURM_JOB_NAME"),
        "slurm_partition": places.variable("SLURM_JOB_PARTITION"),
        "slurm_node": places.variable("SLURMD_NODENAME"),
        "slurm_cluster": places.variable("SLURM_CLUSTER_NAME"),
        "slurm_account": places.variable("SLURM_JOB_ACCOUNT"),
        "slurm_array_task": "_".join(filter(None, array)) if array[1] else "",
    }


def ray(places: Places) -> dict[str, str]:
    """Fields `ray_*`: what Ray tells its workers, and KubeRay its pods."""
    return {
        "ray_cluster": places.variable("RAY_CLUSTER_NAME") or places.label("ray.io/cluster"),
        "ray_job_id": places.variable("RAY_JOB_ID"),
    }


def cloud(places: Places) -> dict[str, str]:
    """Fields `cloud_*` and `host_id`: told by node labels on the pod, cloud-init, the firmware."""
    told = _cloud_init(places)
    vendor = _VENDORS.get(places.text("sys/class/dmi/id/sys_vendor"), "")
    product = places.text("sys/class/dmi/id/product_name") if vendor == "aws" else ""
    return {
        "cloud_provider": told.get("provider", "") or vendor,
        "cloud_region": places.label("topology.kubernetes.io/region") or told.get("region", ""),
        "cloud_zone": places.label("topology.kubernetes.io/zone") or told.get("zone", ""),
        "cloud_instance_type": places.label("node.kubernetes.io/instance-type")
        or told.get("type", "")
        or product,
        "cloud_spot": _spot(places) or told.get("spot", ""),
        "host_id": told.get("id", "") or _machine_id(places),
    }


def versions(places: Places) -> dict[str, str]:
    """Driver and CUDA, and the machine's architecture."""
    driver = _DRIVER.search(places.text("proc/driver/nvidia/version"))
    return {
        "driver_version": driver[1] if driver else "",
        "cuda_version": places.variable("CUDA_VERSION", "NV_CUDA_CUDART_VERSION"),
        "host_arch": os.uname().machine,
    }


def _spot(places: Places) -> str:
    told = [(places.label(key).lower(), value) for key, value in _SPOT.items()]
    known = [label == value for label, value in told if label]
    return str(any(known)).lower() if known else ""


def _machine_id(places: Places) -> str:
    """The id of the machine; an image brings one of its own into every container of it."""
    contained = places.in_kubernetes or any(container(places).values())
    marked = places.is_there("run/.containerenv") or places.is_there(".dockerenv")
    return "" if contained or marked else places.text("etc/machine-id")


def _cloud_init(places: Places) -> dict[str, str]:
    """What cloud-init wrote down at boot (`v1` of instance-data.json).

    EC2 tells its life cycle, Azure its priority; other clouds are not asked for it.
    """
    try:
        told = json.loads(places.text(_INSTANCE_DATA) or "{}")
    except (ValueError, RecursionError):
        places.unreadable.setdefault(_INSTANCE_DATA, "it is no JSON")
        return {}
    version_1, source = _inner(told, "v1"), _inner(told, "ds")
    details = _inner(source, "meta_data")
    compute = _inner(_inner(details, "imds"), "compute") or _inner(details, "compute")
    bought = details.get("instance-life-cycle") or compute.get("priority")
    found = {
        "provider": _CLOUDS.get(str(version_1.get("cloud_name", "")).lower()),
        "region": version_1.get("region") or compute.get("location"),
        "zone": version_1.get("availability_zone") or compute.get("zone"),
        "type": details.get("instance-type") or compute.get("vmSize"),
        "id": version_1.get("instance_id"),
        "spot": _BOUGHT.get(str(bought).lower()),
    }
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _inner(told: Any, key: str) -> dict[str, Any]:  # noqa: ANN401  whatever the file holds
    inner = told.get(key) if isinstance(told, dict) else None
    return inner if isinstance(inner, dict) else {}
