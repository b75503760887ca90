"""The system under test as its stack describes it: in a sentence, with its load, and as a table."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.core.system_facts import SystemDescription
from runner.report import number_format
from runner.report.machines import shared_machines
from runner.report.markdown_text import EMPTY, Markdown, code, join, listed, markdown
from runner.report.metric_text import levels
from runner.report.network_path import SHORT
from runner.report.nodes import load_nodes
from runner.report.number_format import plural


def described(configuration: ConfigurationResults) -> Markdown:
    """Return the system under test and how it was loaded, and which of its nodes are one machine."""
    system = _app(configuration.topology)
    if proxy := configuration.topology.proxy:
        fresh = "" if proxy.keepalive else markdown(" (a new upstream connection per request)")
        system = markdown("{} behind {}{}", system, proxy.kind.capitalize(), fresh)
    made_load = load_nodes(configuration.stages)
    source = markdown(", from {}", plural(len(made_load), "node")) if made_load else EMPTY
    same = shared_machines(configuration.topology)
    sentence = markdown("{}, {}{}.", system, _loaded(configuration), source)
    return markdown("{} {}", sentence, same) if same else sentence


def _app(topology: SystemDescription) -> Markdown:
    replicas = topology.replicas or 1
    if topology.url is not None:
        where = markdown("An existing service at {}", code(topology.url))
        notes = [addresses_used(topology)] if topology.addresses or topology.unused_addresses else []
        notes += [markdown("certificate not verified")] if topology.certificate == "not checked" else []
        return markdown("{} ({})", where, join("; ", notes)) if notes else where
    if topology.placement:
        machines = plural(len(set(topology.placement.values())), "node")
        path = topology.path and SHORT.get(topology.path, topology.path)
        place = join(", ", [machines, path]) if path else machines
        return markdown("{} in a Docker Swarm ({})", plural(replicas, "replica"), place)
    if topology.engine is not None:
        return markdown("{} in Docker", plural(replicas, "replica"))
    if topology.command is None:
        return markdown("A system of kind {}", code(topology.kind or "unknown"))
    processes = "One process" if replicas == 1 else f"{replicas:,} processes"
    beside = [name for name, service in (topology.services or {}).items() if service.origin != "watched"]
    services = markdown(" beside {}", listed(map(code, beside))) if beside else EMPTY
    return markdown("{} ({}){}", processes, code(command_line(topology.command)), services)


def command_line(words: Sequence[str]) -> str:
    """Return a command as a line, in which only those arguments have quotes that would be lost or divided."""
    return " ".join(shlex.quote(word) if not word or any(map(str.isspace, word)) else word for word in words)


def addresses_used(topology: SystemDescription) -> Markdown:
    """Return which of several addresses of the service's host received load."""
    if topology.addresses:
        return markdown("requests went to {} in turn", join(", ", map(code, topology.addresses)))
    used, unused = code(topology.address or ""), join(", ", map(code, topology.unused_addresses or ()))
    return markdown("all load went to {}, none to {}", used, unused)


def _offer(stage: Stage) -> str:
    """Return the level of a stage: "at 100 RPS", "with 8 users"."""
    return f"{'at' if stage.users is None else 'with'} {levels(stage)}"


def _loaded(configuration: ConfigurationResults) -> Markdown:
    stages = configuration.stages
    kind = connections(configuration.load.connection)
    closed = sum(stage.connections.closed_by_server for stage in stages if stage.connections)
    sent = sum(stage.requests.sent for stage in stages if stage.connections)
    note = ", which the server closed after most responses" if sent and 2 * closed >= sent else ""
    first = [stage for stage in stages if stage.repeat == 1]
    windows = {stage.window_s for stage in stages}
    if len(windows) > 1:
        each = listed(f"{_offer(stage)} for {number_format.seconds(stage.window_s)}" for stage in first)
        return markdown("loaded {}, with {}{}", each, kind, note)
    offered = [levels(stage) for stage in first]
    if all(one.endswith(" RPS") for one in offered):
        offered = [f"at {number_format.listed([one.removesuffix(' RPS') for one in offered])} RPS"]
    elif all(stage.users is not None for stage in stages):
        offered = [f"with {number_format.listed(offered)}"]
    else:
        offered = list(map(_offer, first))
    lengths = listed(map(number_format.seconds, windows))
    times = markdown("{} each", lengths) if len(stages) > 1 else lengths
    return markdown("loaded {} for {} with {}{}", listed(offered), times, kind, note)


def connections(word: str) -> str:
    """Return how requests used connections, in words."""
    words = {
        "new": "a new TCP connection per request",
        "per-user": "new TCP connections for each user",
        "keep-alive": "keep-alive connections",
    }
    return words.get(word, word)


def trust(configuration: ConfigurationResults) -> Iterator[Markdown]:
    """Yield a warning where nothing proves which server responded."""
    if configuration.topology.certificate == "not checked":
        yield markdown(
            "**The server’s certificate was not verified** (`topology.tls.insecure`), so the responses may "
            "come from a different server."
        )
