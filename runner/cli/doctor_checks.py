"""What this machine has for experiments, found by trying rather than by asking."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import trio

from runner.load.exchange import Exchange
from runner.load.loop import plain_exchange
from runner.observe.environment import environment
from runner.stack.docker.checkup import check_docker

_SO_TIMESTAMPNS = 35


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        status: ``ok``, ``limited`` (works, with a limit) or ``missing``.
        found: What is there.
        advice: What to do, empty when nothing.
    """

    name: str
    status: Literal["ok", "limited", "missing"]
    found: str
    advice: str = ""


def examine() -> list[Check]:
    """Every check, most basic first; never raises, starts nothing and changes nothing."""
    facts = environment()
    return [
        _python(),
        _system(),
        _cores(facts),
        _generator(),
        _receive_stamps(),
        _open_files(),
        _ports(),
        _command("app-server", "the reference service", "pip install 'loadproof[app]'"),
        _command("nginx", "a proxy without Docker", "install nginx with your package manager"),
        *_docker(),
        _command("k6", "the k6 engine", "install k6 >= 1.0, see its documentation"),
    ]


def _docker() -> list[Check]:
    return [Check(each.name, each.status, each.found, each.advice) for each in trio.run(check_docker)]


def _python() -> Check:
    return Check("Python", "ok", sys.version.split()[0])


def _system() -> Check:
    kind = os.uname()
    if kind.sysname == "Linux":
        return Check("operating system", "ok", f"Linux {kind.release}")
    return Check("operating system", "limited", kind.sysname, "the generator and CPU by role need Linux")


def _cores(facts: dict[str, object]) -> Check:
    cores = os.cpu_count() or 1
    found = f"{cores} ({facts.get('cpu_model', 'model unknown')})"
    if cores >= 4:
        return Check("CPU cores", "ok", found)
    return Check(
        "CPU cores", "limited", found, "the generator and the system under test share these few cores"
    )


def _generator() -> Check:
    if plain_exchange() is not Exchange:
        return Check("generator", "ok", "compiled")
    advice = "for less CPU a request: install a C compiler and Python's headers, then Loadproof again"
    if os.environ.get("LOADPROOF_NO_EXTENSIONS"):
        advice = "for less CPU a request: unset LOADPROOF_NO_EXTENSIONS"
    return Check("generator", "limited", "in Python, not compiled", advice)


def _receive_stamps() -> Check:
    name = "kernel receive stamps"
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError as error:
        advice = "latency is stamped by the generator's own clock"
        return Check(name, "limited", error.strerror or "no", advice)
    return Check(name, "ok", "SO_TIMESTAMPNS on TCP")


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft:,} soft, {hard:,} hard"
    if hard >= 8192:
        return Check("open files", "ok", found)
    return Check("open files", "limited", found, "raise it with `ulimit -Hn 65536` for many connections")


def _ports() -> Check:
    try:
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        return Check("ephemeral ports", "limited", "not readable")
    count = high - low + 1
    return Check(
        "ephemeral ports",
        "ok" if count >= 20_000 else "limited",
        f"{count:,} ({low} to {high})",
        "" if count >= 20_000 else "widen net.ipv4.ip_local_port_range for new connections at high rates",
    )


def _command(name: str, purpose: str, advice: str) -> Check:
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if found:
        return Check(name, "ok", found)
    return Check(name, "missing", f"not on PATH; only needed for {purpose}", advice)
