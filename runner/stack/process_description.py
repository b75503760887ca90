"""What is known of the processes of a stack once they run: addresses, services, and the description."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain

from runner.core.codes import Role, is_service
from runner.core.endpoint import Endpoint
from runner.core.system_facts import ServiceFacts, SystemDescription
from runner.experiment.model import ProcessTopology
from runner.stack.command import Command
from runner.stack.nginx_process import NginxProcess
from runner.stack.ports import LOOPBACK
from runner.stack.process_services import fill, service_facts
from runner.stack.process_stack import ProcessStack
from runner.stack.programs import Programs
from runner.stack.secrets import inherited_variables, inspect_secrets
from runner.stack.watched import WatchedServices


def described_stack(
    topology: ProcessTopology,
    commands: Sequence[Command],
    nginx: NginxProcess | None,
    programs: Programs,
    watched: WatchedServices,
) -> ProcessStack:
    """Return the stack of commands that run: the services, the replicas, then nginx if there is one."""
    app = topology.app
    replicas = [command for command in commands if command.role == Role.APP]
    description = SystemDescription(
        kind=topology.kind,
        command=replicas[0].argv,
        replicas=len(replicas),
        urls=tuple(command_url(command) for command in replicas),
        health=app.health,
        env_names=tuple(sorted({*app.env, *app.env_from})),  # the values may be secrets
        cpus=topology.cpus or None,
        proxy=nginx.description if nginx else None,
        services=_services(topology, commands) | watched.facts or None,
    )
    inspect_urls = _inspect_urls(topology, commands) | watched.inspect_urls
    return ProcessStack(
        commands=tuple(commands),
        endpoint=Endpoint(LOOPBACK, commands[-1].port),
        description=description,
        metrics_urls={replica.name: command_url(replica) + app.metrics for replica in replicas}
        if app.metrics
        else {},
        status_urls={nginx.command.name: nginx.status_url} if nginx else {},
        secrets=_secrets(topology) | inspect_secrets(inspect_urls),
        programs=programs,
        inspect_urls=inspect_urls,
        watched=watched,
    )


def _inspect_urls(topology: ProcessTopology, commands: Sequence[Command]) -> dict[str, str]:
    ports = {command.name: command.port for command in commands if is_service(command.role)}
    addresses = {name: (LOOPBACK, port or None) for name, port in ports.items()}
    urls = {name: service.inspect for name, service in topology.services.items()}
    return {name: fill(url, ports[name], addresses) for name, url in urls.items() if url is not None}


def _services(topology: ProcessTopology, commands: Sequence[Command]) -> dict[str, ServiceFacts]:
    return {
        command.name: service_facts(command, topology.services[command.name])
        for command in commands
        if is_service(command.role)
    }


def _secrets(topology: ProcessTopology) -> dict[str, str]:
    services = (service.env_from for service in topology.services.values())
    names = dict.fromkeys(chain(topology.app.env_from, *services))
    return inherited_variables(names, os.environ)


def command_url(command: Command) -> str:
    """Return the URL of the port that a command was given."""
    return f"http://{LOOPBACK}:{command.port}"
