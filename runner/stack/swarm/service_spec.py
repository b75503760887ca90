"""What the manager's API takes for a plan: nothing is restarted, moved or balanced behind our back.

The API's own words are used instead of the SDK's types, which leave out some of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from runner.cluster.placement import PlacedFile, PlacedHealthcheck, TaskPlan
from runner.stack.swarm.naming import PLAN, TASK_OF, object_labels, object_name

HOST_NETWORK: Final = "host"

_NANO: Final = 1_000_000_000
_GRACE_NS: Final = 1 * _NANO
_READABLE: Final = 0o444
_PRIVATE: Final = 0o400
_LOG: Final = {"Name": "json-file", "Options": {"max-size": "8m", "max-file": "1"}}
_RESTART: Final = {"Condition": "none"}


def service_spec(
    plan: TaskPlan, run_id: str, files: Sequence[tuple[PlacedFile, str, str]]
) -> dict[str, Any]:  # JSON
    """Return the body of the request that creates a service.

    Args:
        plan: What to place.
        run_id: The run that it belongs to.
        files: Each file with the id and the name of its config or secret.
    """
    constraints = [*plan.constraints, *([f"node.id=={plan.node_id}"] if plan.node_id else ())]
    mode = {"Global": {}} if plan.one_per_node else {"Replicated": {"Replicas": plan.replicas}}
    return {
        "Name": object_name(run_id, plan.name),
        "Labels": {**plan.labels, **object_labels(run_id, plan.name), PLAN: plan.name},
        "Mode": mode,
        "EndpointSpec": {"Mode": "dnsrr", "Ports": _ports(plan.ports)},
        "TaskTemplate": {
            "ContainerSpec": _container(plan, run_id, files),
            "Resources": {"Limits": _limits(plan)},
            "RestartPolicy": _RESTART,
            "Placement": {"Constraints": constraints},
            "Networks": _networks(plan),
            "LogDriver": _LOG,
        },
    }


def _container(
    plan: TaskPlan, run_id: str, files: Sequence[tuple[PlacedFile, str, str]]
) -> dict[str, Any]:  # JSON
    container: dict[str, Any] = {
        "Image": plan.image,
        "Labels": {TASK_OF: run_id},
        "Env": [f"{name}={value}" for name, value in plan.env.items()],
        "User": plan.user,
        "ReadOnly": plan.read_only,
        "CapabilityDrop": list(plan.cap_drop),
        "Sysctls": dict(plan.sysctls),
        "Mounts": _mounts(plan),
        "StopGracePeriod": _GRACE_NS,
        "Healthcheck": _healthcheck(plan.healthcheck),
        "Configs": [_reference("Config", plan, *file) for file in files if not file[0].secret],
        "Secrets": [_reference("Secret", plan, *file) for file in files if file[0].secret],
    }
    if plan.command:
        container["Args"] = list(plan.command)
    if plan.entrypoint:
        container["Command"] = list(plan.entrypoint)
    return container


def _reference(kind: str, plan: TaskPlan, file: PlacedFile, object_id: str, name: str) -> dict[str, Any]:
    user, _, group = plan.user.partition(":")
    owner = user if user.isdecimal() else "0"
    return {
        f"{kind}ID": object_id,
        f"{kind}Name": name,
        "File": {
            "Name": file.path,
            "UID": owner,
            "GID": group if group.isdecimal() else owner,
            "Mode": _PRIVATE if file.secret else _READABLE,
        },
    }


def _mounts(plan: TaskPlan) -> list[dict[str, Any]]:
    return [
        *(
            {"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}
            for mount in plan.mounts
        ),
        *(
            {"Type": "tmpfs", "Target": target, "TmpfsOptions": {"SizeBytes": size, "Mode": 0o1777}}
            for target, size in plan.tmpfs.items()
        ),
    ]


def _healthcheck(check: PlacedHealthcheck | None) -> dict[str, Any]:
    """Return the plan's check, else none at all: the image's own would use CPU in the middle of a stage."""
    if check is None:
        return {"Test": ["NONE"]}
    interval_ns = round(check.interval * _NANO)
    return {"Test": list(check.command), "Interval": interval_ns, "Retries": check.retries}


def _limits(plan: TaskPlan) -> dict[str, int]:
    limits = plan.limits
    return {
        **({"NanoCPUs": round(limits.cpus * _NANO)} if limits.cpus is not None else {}),
        **({"MemoryBytes": limits.memory_bytes} if limits.memory_bytes is not None else {}),
        **({"Pids": limits.pids} if limits.pids is not None else {}),
    }


def _networks(plan: TaskPlan) -> list[dict[str, Any]]:
    if plan.host:
        return [{"Target": HOST_NETWORK}]
    return [{"Target": network, "Aliases": [plan.name, *plan.aliases]} for network in plan.networks]


def _ports(ports: Mapping[int, int]) -> list[dict[str, Any]]:
    return [
        {"Protocol": "tcp", "TargetPort": inside, "PublishedPort": outside, "PublishMode": "host"}
        for inside, outside in ports.items()
    ]
