"""The specification that `runner init` generates, with comments on the lines that users change (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runner.experiment.app import PORT_FIELD
from runner.experiment.suggestions import harmless, slug
from runner.experiment.url import host_of, is_loopback, literal

_PORT: Final = re.compile(r"(?P<before>(?:^|[=:]))(?P<port>[1-9][0-9]{1,4})$")
_LAST_PORT: Final = re.compile(r"80|[1-9][0-9]{3,4}")
_HIGHEST_PORT: Final = 65_535
_PORT_FLAGS: Final = frozenset({"-p", "--port", "--http-port", "--listen-port", "-port"})
_INTERPRETERS: Final = frozenset(
    {"bash", "bun", "dash", "deno", "dotnet", "env", "java", "lua", "node", "nodejs", "perl", "php", "pypy"}
    | {"python", "ruby", "sh", "ts-node", "tsx", "uv", "zsh"}
)
_WITH_TEXT: Final = frozenset({"-c", "-e", "--eval"})
"""Options of interpreters that a program's text follows."""
_WITH_VALUE: Final = frozenset(
    {"-cp", "-classpath", "--class-path", "-S", "-W", "-X", "-I", "-r", "--require"}
)
"""Options that a value follows which is no script."""
_SCRIPT: Final = re.compile(r"\.(py|pyz|js|mjs|cjs|ts|jar|rb|php|pl|sh|dll|lua)$")
_MAX_NAME: Final = 40
_MAX_COMMENT: Final = 300


@dataclass(frozen=True, slots=True)
class Known:
    """Properties of a service that are known before it is measured.

    `url` is empty if `command`, which includes ``{port}``, starts it; `health` returns 2xx, if one was found;
    `advice` says what to do about a `status` that is no success.
    """

    url: str = ""
    command: tuple[str, ...] = ()
    path: str = "/"
    status: int = 200
    health: str | None = None
    pids: tuple[int, ...] = ()
    advice: str = ""

    @property
    def works(self) -> bool:
        """Whether the request succeeded."""
        return 200 <= self.status < 300


def with_port_field(command: Sequence[str]) -> tuple[str, ...]:
    """Return the command with ``{port}`` in place of its port; unchanged if no port is recognized.

    Recognizes ``--port 8080``, ``--port=8080``, ``:8080`` and ``0.0.0.0:8080``, and without these a number at
    the end, as in ``java App 8080``.
    """
    if any(PORT_FIELD in word for word in command):
        return tuple(command)
    for at in range(1, len(command)):
        match = _PORT.search(command[at])
        if match and (match["before"] or command[at - 1] in _PORT_FLAGS):
            changed = command[at][: match.start("port")] + PORT_FIELD
            return (*command[:at], changed, *command[at + 1 :])
    if len(command) > 1 and _LAST_PORT.fullmatch(command[-1]) and int(command[-1]) <= _HIGHEST_PORT:
        return (*command[:-1], PORT_FIELD)
    return tuple(command)


def name_for(known: Known) -> str:
    """Return a valid name for the experiment."""
    if known.url and _is_local(host_of(known.url)):
        return "my-service"
    source = host_of(known.url) if known.url else program_of(known.command)
    return slug(source)[:_MAX_NAME].strip("-") or "my-service"


def program_of(command: Sequence[str]) -> str:
    """Return the name of the program in a command: of the script or module, if an interpreter runs it."""
    words = list(command)
    name = words.pop(0).rpartition("/")[2]
    while _interpreter(name) and words:
        word = words.pop(0)
        if word in _WITH_TEXT:
            break
        if word in _WITH_VALUE:
            words = words[1:]
        elif not word.startswith("-") and PORT_FIELD not in word and "=" not in word and word != "run":
            name = word.rpartition("/")[2]
    return _SCRIPT.sub("", name) or name


def _interpreter(name: str) -> bool:
    return re.sub(r"[0-9.]+$", "", name) in _INTERPRETERS


def _is_local(host: str) -> bool:
    return host == "localhost" or (literal(host) is not None and is_loopback(host))


def first_spec(known: Known, name: str) -> str:
    """Return the text of a specification, which works unmodified if the request succeeded."""
    service = known.url or program_of(known.command)
    return _TEXT.format(
        name=name,
        title=json.dumps(f"Load test of {service}"[:200], ensure_ascii=False),
        topology=_external(known) if known.url else _process(known),
        path=json.dumps(known.path),
        expect=_expect(known),
        allow=_allow(known),
    )


def compose_spec(name: str, topology: str, file: str, path: str) -> str:
    """Return the text of a specification for a compose file.

    Args:
        name: Of the experiment.
        topology: The lines of its topology.
        file: The name of the compose file, for the title.
        path: What is requested.
    """
    return _TEXT.format(
        name=name,
        title=json.dumps(f"Load test of {file}"[:200], ensure_ascii=False),
        topology=topology,
        path=json.dumps(path),
        expect="  expect: {status: [2xx]}          # all other responses are failures",
        allow="",
    )


def _process(known: Known) -> str:
    command = ", ".join(json.dumps(word, ensure_ascii=False) for word in known.command)
    return _PROCESS.format(command=command, health=json.dumps(known.health or "/healthz"))


def _external(known: Known) -> str:
    lines = ["  kind: external                # already runs; nothing is started"]
    lines.append(f"  url: {json.dumps(known.url)}")
    if known.health:
        health = json.dumps(known.health)
        lines.append(f"  health: {health}          # must return 2xx before the load starts")
    if known.pids:
        pids = ", ".join(map(str, known.pids))
        lines.append(f"  pids: [{pids}]                  # current process IDs, for CPU measurement")
    else:
        lines.append("  # pids: [1234]                # process IDs on this host, for CPU measurement")
    return "\n".join(lines)


def _expect(known: Known) -> str:
    """Return what the response must be: never a refusal, which would make every refused request a success."""
    if known.works:
        return f"  expect: {{status: [{known.status}]}}          # all other responses are failures"
    lines = [f"{known.path} returned status {known.status} when this file was generated.", f"{known.advice}."]
    comments = [f"  # {harmless(line[:1].upper() + line[1:])[:_MAX_COMMENT]}" for line in lines]
    return "\n".join([*comments, "  expect: {status: [2xx]}          # all other responses are failures"])


def _allow(known: Known) -> str:
    host = host_of(known.url)
    if not known.url or _is_local(host):
        return ""
    return f"\n  allow_hosts: [{json.dumps(host)}]   # requires permission and --i-am-authorized"


_PROCESS: Final = """\
  kind: process                 # or docker: containers; or external: already runs
  app:
    command: [{command}]
    health: {health}            # must return 2xx before the load starts
    # metrics: /metrics           # Prometheus text format, if available
    # env: {{WORKERS: "2"}}
  # replicas: 2                   # more than one requires a proxy:
  # proxy: {{kind: nginx}}"""

_TEXT: Final = """\
# Generated by `runner init`. `runner validate` checks it, `runner execute` runs it and writes a report,
# `runner schema --markdown` lists all keys.
version: 1
name: {name}
title: {title}
objective: Find the highest rate that the service sustains, and what limits it.

topology:
{topology}

load:
  request: {{method: GET, path: {path}}}   # a request that your users send
{expect}
  connection: keep-alive        # or new: one TCP connection per request
  timeout: 10s{allow}

stages:                         # offered rates, independent of the responses
  - {{rps: 100, duration: 5s, warmup: 1s}}
  - {{rps: 500, duration: 5s, warmup: 1s}}
  - {{rps: 1000, duration: 5s, warmup: 1s}}
  # - find: {{max_rps: 20000, until: ["response_time.p95 < 50ms", "achieved >= 99%"]}}
  #   duration: 5s               # searches for the highest sustained rate
cooldown: 1s

# hypothesis: app-cpu-limited   # the limit you expect; the report confirms or refutes it
# prove: true                   # test what limits a stage with a counter-experiment

thresholds:                     # exit code 99 when one fails
  - errors < 1%
  # - achieved >= 99%
  # - response_time.p95 < 50ms
"""
