"""What this machine has for experiments; checks try a feature rather than compare version numbers."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio

from runner.cli.container_checks import check_container
from runner.cli.output import say
from runner.installation import how_to_add
from runner.load.exchange import Exchange
from runner.load.loop import plain_exchange
from runner.observe.environment import environment
from runner.stack.docker.checkup import DockerCheck as Check
from runner.stack.docker.checkup import check_docker

_SO_TIMESTAMPNS: Final = 35


def examine() -> list[Check]:
    """Return the results of all checks, most basic first; never raises, starts nothing, changes nothing."""
    facts = environment()
    return [
        _python(),
        _system(),
        *check_container(),
        _cores(facts),
        _generator(),
        _receive_timestamps(),
        _open_files(),
        _ports(),
        _command("app-server", "the reference service", how_to_add("app")),
        _command("nginx", "a proxy without Docker", "install nginx with your package manager"),
        *trio.run(check_docker),
        _command("k6", "the k6 engine", "install k6 >= 1.0, see its documentation"),
    ]


def examine_swarm(registry: str | None) -> list[Check]:
    """Return what a swarm has; runs an agent on each of its nodes for a moment, and leaves nothing."""
    from runner.stack.swarm.checkup import check_swarm

    async def check() -> list[Check]:
        return await check_swarm(say, registry)

    return trio.run(check)


def _python() -> Check:
    return Check("Python", "ok", sys.version.split()[0])


def _system() -> Check:
    kind = os.uname()
    if kind.sysname == "Linux":
        return Check("operating system", "ok", f"Linux {kind.release}")
    return Check("operating system", "limited", kind.sysname, "the generator and CPU by role need Linux")


def _cores(facts: Mapping[str, object]) -> Check:
    cores = os.cpu_count() or 1
    text = f"{cores} ({facts.get('cpu_model', 'model unknown')})"
    if cores >= 4:
        return Check("CPU cores", "ok", text)
    return Check("CPU cores", "limited", text, "the generator and the system under test share them")


def _generator() -> Check:
    if plain_exchange() is not Exchange:
        return Check("generator", "ok", "compiled")
    advice = (
        "to use less CPU per request, install Loadproof again (in a checkout: make setup), with a C compiler "
        "and Python's headers"
    )
    if os.environ.get("LOADPROOF_NO_EXTENSIONS"):
        advice = "to use less CPU per request, unset LOADPROOF_NO_EXTENSIONS"
    return Check("generator", "limited", "pure Python, not compiled or older than its source", advice)


def _receive_timestamps() -> Check:
    name = "kernel receive timestamps"
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError as error:
        advice = "the generator's own clock timestamps the responses"
        return Check(name, "limited", error.strerror or "no", advice)
    return Check(name, "ok", "SO_TIMESTAMPNS on TCP")


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"{soft:,} soft, {hard:,} hard"
    if hard >= 8192:
        return Check("open files", "ok", text)
    return Check("open files", "limited", text, "for many connections, raise it with `ulimit -Hn 65536`")


def _ports() -> Check:
    try:
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        return Check("ephemeral ports", "limited", "not readable")
    count = high - low + 1
    text = f"{count:,} ({low} to {high})"
    if count >= 20_000:
        return Check("ephemeral ports", "ok", text)
    advice = "for new connections at high rates, widen net.ipv4.ip_local_port_range"
    return Check("ephemeral ports", "limited", text, advice)


def _command(name: str, purpose: str, advice: str) -> Check:
    beside = Path(sys.executable).parent
    path = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if path:
        return Check(name, "ok", path)
    return Check(name, "missing", f"not on PATH; only needed for {purpose}", advice)
