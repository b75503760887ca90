"""A first specification, with a comment at every line that somebody may want to change (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runner.experiment.topology import PORT_FIELD
from runner.experiment.url import host_of, is_loopback, literal

_PORT: Final = re.compile(r"(?P<before>(?:^|[=:]))(?P<port>[1-9][0-9]{1,4})$")
_PORT_FLAGS: Final = frozenset({"-p", "--port", "--http-port", "--listen-port", "-port"})
_MOST_NAME: Final = 40


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about a service before it is measured.

    Attributes:
        url: Where it answers already; empty when `command` starts it.
        command: Program and arguments, ``{port}`` among them.
        path: What to ask for.
        status: What it answers there.
        health: Path that answers 2xx; None when none was found.
        pids: Its processes on this host, as of now.
    """

    url: str = ""
    command: tuple[str, ...] = ()
    path: str = "/"
    status: int = 200
    health: str | None = None
    pids: tuple[int, ...] = ()


def with_port_field(command: Sequence[str]) -> tuple[str, ...]:
    """The command with ``{port}`` where it names its port; as it is when it names none that can be seen.

    Seen are ``--port 8080``, ``--port=8080``, ``:8080`` and ``0.0.0.0:8080``.
    """
    if any(PORT_FIELD in word for word in command):
        return tuple(command)
    for at in range(1, len(command)):
        found = _PORT.search(command[at])
        if found and (found["before"] or command[at - 1] in _PORT_FLAGS):
            changed = command[at][: found.start("port")] + PORT_FIELD
            return (*command[:at], changed, *command[at + 1 :])
    return tuple(command)


def name_for(known: Known) -> str:
    """A name of the letters that names may have."""
    if known.url and _is_here(host_of(known.url)):
        return "my-service"
    source = host_of(known.url) if known.url else known.command[0].rpartition("/")[2]
    slug = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")[:_MOST_NAME].strip("-")
    return slug or "my-service"


def _is_here(host: str) -> bool:
    return host == "localhost" or (literal(host) is not None and is_loopback(host))


def first_spec(known: Known, name: str) -> str:
    """The text of a specification that runs as written."""
    what = known.url or known.command[0].rpartition("/")[2]
    return _TEXT.format(
        name=name,
        title=json.dumps(f"How fast is {what}?"[:200], ensure_ascii=False),
        topology=_external(known) if known.url else _process(known),
        path=json.dumps(known.path),
        status=known.status,
        allow=_allow(known),
    )


def _process(known: Known) -> str:
    command = ", ".join(json.dumps(word, ensure_ascii=False) for word in known.command)
    return _PROCESS.format(command=command, health=json.dumps(known.health or "/healthz"))


def _external(known: Known) -> str:
    lines = [
        "  kind: external                # it runs already; nothing is built",
        f"  url: {json.dumps(known.url)}",
    ]
    if known.health:
        lines.append(
            f"  health: {json.dumps(known.health)}          # must answer 2xx before the load begins"
        )
    if known.pids:
        pids = ", ".join(map(str, known.pids))
        lines.append(
            f"  pids: [{pids}]                  # its processes as of now, so that its CPU is measured"
        )
    else:
        lines.append(
            "  # pids: [1234]                # its processes on this host, if they are: measures its CPU"
        )
    return "\n".join(lines)


def _allow(known: Known) -> str:
    if not known.url:
        return ""
    host = host_of(known.url)
    if _is_here(host):
        return ""
    return (
        f"\n  allow_hosts: [{json.dumps(host)}]   # may you put load on it? then run with --i-am-authorized"
    )


_PROCESS: Final = """\
  kind: process                 # docker: replicas in containers; external: it runs already
  app:
    command: [{command}]
    health: {health}            # must answer 2xx before the load begins
    # metrics: /metrics           # Prometheus text, if it has any
    # env: {{WORKERS: "2"}}
  # replicas: 2                   # more than one goes behind nginx:
  # proxy: {{kind: nginx}}"""

_TEXT: Final = """\
# A first experiment. `runner validate` checks it, `runner execute` runs it and writes a report,
# `runner schema` prints every key there is.
version: 1
name: {name}
title: {title}
objective: See where it stops keeping up, and why.

topology:
{topology}

load:
  request: {{method: GET, path: {path}}}   # what your users ask for
  expect: {{status: [{status}]}}          # everything else counts as a failure
  connection: keep-alive        # new: a TCP connection for every request
  timeout: 10s{allow}

stages:                         # offered rates; requests are sent on time whether or not answers come
  - {{rps: 100, duration: 5s, warmup: 1s}}
  - {{rps: 500, duration: 5s, warmup: 1s}}
  - {{rps: 1000, duration: 5s, warmup: 1s}}
  # - find: {{max_rps: 20000, until: ["response_time.p95 < 50ms", "achieved >= 99%"]}}
  #   duration: 5s               # searches for the highest rate that holds
cooldown: 1s

# hypothesis: app-cpu-limited   # what do you expect? the report answers confirmed or refuted
# prove: true                   # run the counter-experiment of whatever limits a stage

thresholds:                     # exit code 99 when one fails
  - errors < 1%
  # - achieved >= 99%
  # - response_time.p95 < 50ms
"""
