"""Nginx as a process of this host: the cost of a second hop without the cost of Docker."""

from __future__ import annotations

import os
import re
import resource
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import trio

from runner.bounded_program import DidNotFinish, run_bounded
from runner.core.codes import Role
from runner.core.errors import EnvironmentLacks
from runner.core.system_facts import ProxyFacts
from runner.core.units import Seconds
from runner.experiment.model import Proxy
from runner.stack.command import Command, start
from runner.stack.nginx import (
    STATUS_PATH,
    NginxSettings,
    describe_proxy,
    render_nginx,
    two_free_ports,
)
from runner.stack.ports import LOOPBACK
from runner.stack.protocols import StackContext

_MORE_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where nginx usually is, although not on an ordinary user's PATH."""

_OPEN_FILES: Final = 65_536
_VERSION: Final = re.compile(rb"nginx/([0-9]{1,4}(?:\.[0-9]{1,4}){1,3})")
_VERSION_WITHIN_S: Final[Seconds] = 10.0
_HAS_LOG_OPTION: Final = (1, 19, 5)


@dataclass(frozen=True, slots=True)
class NginxProcess:
    """A started nginx; the caller checks that it responds.

    Attributes:
        command: The master process, its port and its output; workers are its children.
        status_url: Its stub_status.
        description: The facts about it.
    """

    command: Command
    status_url: str
    description: ProxyFacts


async def start_nginx(
    proxy: Proxy, upstream_ports: Sequence[int], ctx: StackContext, *, cpus: Sequence[int] = ()
) -> NginxProcess:
    """Start nginx on a free port, in front of services that listen on this host.

    Args:
        proxy: The proxy in the specification.
        upstream_ports: Where the replicas listen on 127.0.0.1.
        ctx: Its scratch folder takes the configuration and nginx's own files.
        cpus: Processors to pin it to, empty for any.

    Raises:
        EnvironmentLacks: There is no nginx, or it does not work.
    """
    program = _find()
    version = await _version(program)
    port, status_port = two_free_ports()
    scratch = ctx.scratch / "nginx"
    scratch.mkdir(parents=True, exist_ok=True)
    content = render_nginx(_settings(proxy, upstream_ports, port, status_port, scratch))
    configuration = scratch / "nginx.conf"
    configuration.write_bytes(os.fsencode(content))
    ctx.keep_rendered(configuration.name, os.fsencode(content))
    log = ["-e", "stderr"] if _numbers(version) >= _HAS_LOG_OPTION else []
    argv = [program, *log, "-p", str(scratch), "-c", str(configuration)]
    command = await start(argv, {}, ctx, name="nginx", role=Role.PROXY, port=port, cpus=cpus)
    status_url = f"http://{LOOPBACK}:{status_port}{STATUS_PATH}"
    return NginxProcess(command, status_url, describe_proxy(proxy, version))


def _settings(
    proxy: Proxy, upstream_ports: Sequence[int], port: int, status_port: int, scratch: Path
) -> NginxSettings:
    max_files = _max_open_files()
    return NginxSettings(
        upstreams=[f"{LOOPBACK}:{upstream}" for upstream in upstream_ports],
        listen=f"{LOOPBACK}:{port}",
        status_listen=f"{LOOPBACK}:{status_port}",
        scratch=str(scratch),
        keepalive=proxy.keepalive,
        workers=proxy.workers,
        user="root" if os.geteuid() == 0 else None,  # else workers could not enter the scratch folder
        worker_connections=min(proxy.connections, max_files),
        max_files=max_files,
    )


def _find() -> str:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_MORE_FOLDERS])
    program = shutil.which("nginx", path=path)
    if program is None:
        raise EnvironmentLacks(
            "topology.proxy: nginx is not installed",
            hint="on Debian and Ubuntu: sudo apt-get install nginx-light; kind docker uses an image",
        )
    return program


async def _version(program: str) -> str | None:
    """Return the version that `nginx -v` prints, such as ``1.28.0``."""
    run = partial(run_bounded, [program, "-v"], within_s=_VERSION_WITHIN_S)
    try:
        finished = await trio.to_thread.run_sync(run)
    except (DidNotFinish, OSError) as error:
        raise EnvironmentLacks(
            f"topology.proxy: `{program} -v` does not work: {error}", hint="install nginx anew"
        ) from None
    version = _VERSION.search(finished.stderr)
    return version[1].decode() if version else None


def _numbers(version: str | None) -> tuple[int, ...]:
    return tuple(int(number) for number in (version or "0").split("."))


def _max_open_files() -> int:
    """Return what nginx may raise its own limit to without being root."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
