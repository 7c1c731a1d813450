"""The machine and what was scheduled on it: Slurm, cloud, driver and CUDA."""

import json
import os
import re
from typing import Any

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


def slurm(places: Places) -> dict[str, str]:
    """Fields `slurm_*`, from the variables that srun sets."""
    return {
        "slurm_job_id": places.variable("SLURM_JOB_ID", "SLURM_JOBID"),
        "slurm_step_id": places.variable("SLURM_STEP_ID", "SLURM_STEPID"),
        "slurm_job_name": places.variable("SLURM_JOB_NAME"),
        "slurm_partition": places.variable("SLURM_JOB_PARTITION"),
        "slurm_node": places.variable("SLURMD_NODENAME"),
    }


def cloud(places: Places) -> dict[str, str]:
    """Fields `cloud_*`: told by node labels on the pod, cloud-init or the firmware."""
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
        "cloud_spot": _spot(places),
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


def _cloud_init(places: Places) -> dict[str, str]:
    """What cloud-init wrote down at boot (`v1` of instance-data.json)."""
    try:
        told = json.loads(places.text("run/cloud-init/instance-data.json") or "{}")
    except (ValueError, RecursionError):
        return {}
    version_1, source = _inner(told, "v1"), _inner(told, "ds")
    details = _inner(source, "meta_data")
    found = {
        "provider": _CLOUDS.get(str(version_1.get("cloud_name", "")).lower()),
        "region": version_1.get("region"),
        "zone": version_1.get("availability_zone"),
        "type": details.get("instance-type") or _inner(details, "compute").get("vmSize"),
    }
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _inner(told: Any, key: str) -> dict[str, Any]:  # noqa: ANN401  whatever the file holds
    inner = told.get(key) if isinstance(told, dict) else None
    return inner if isinstance(inner, dict) else {}
