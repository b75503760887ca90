"""How the environments of two sets of runs differ: machine, versions, specification."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from msgspec import to_builtins

from runner.core.comparison import SideBySide
from runner.core.results import ConfigurationResults, Results
from runner.core.system_facts import ProgramIdentity
from runner.experiment.suggestions import join_words

_MEMORY: Final = "memory_mib"
_MACHINE: Final = ("machine", "cpu_model", "cpu_count", "cpus_usable", _MEMORY, "hypervisor")
_MEMORY_DIFFERS: Final = 0.1
_PORT: Final = re.compile(r"(?<=')\d{4,5}(?=')|(?<=:)\d{4,5}\b")
_VERSIONS: Final = (
    "kernel", "os", "loadproof", "python", "cpu_governor", "clocksource", "cgroup_version", "open_files_soft",
    "ip_local_port_range", "tcp_tw_reuse", "somaxconn", "tcp_max_syn_backlog", "nf_conntrack_max",
)  # fmt: skip
_TOPOLOGY: Final = (
    "kind", "command", "replicas", "network", "publish", "limits", "proxy", "images", "build", "engine",
)  # fmt: skip


_PROGRAM: Final = {
    "program": "the program (SHA-256)",
    "code": "code (SHA-256)",
    "packages": "packages (SHA-256)",
    "commit": "commit",
    "changes": "uncommitted changes (SHA-256)",
}
"""What identifies a program, in words."""
_DIGITS: Final = 12
_NOT_SET: Final = ["not set"]


def machine_differences(base: Sequence[Results], head: Sequence[Results]) -> tuple[SideBySide, ...]:
    """Return the differences that make two machines too different to compare."""
    names = [name for name in _MACHINE if name != _MEMORY or _memory_differs([*base, *head])]
    return _differences({name: [_environment(runs, name) for runs in (base, head)] for name in names})


def other_differences(base: Sequence[Results], head: Sequence[Results]) -> tuple[SideBySide, ...]:
    """Return all other differences that may affect the measurements."""
    sides = (base, head)
    digests = [_all(runs, lambda run: run.experiment.spec_sha256[:12]) for runs in sides]
    overrides = [_all(runs, lambda run: " ".join(run.run.overrides)) for runs in sides]
    pairs = {"specification (SHA-256)": digests, "overrides": overrides}
    pairs |= {name: [_environment(runs, name) for runs in sides] for name in _VERSIONS}
    pairs |= _set_up_on(base, head)
    old, new = (dict(_programs(runs)) for runs in sides)
    return _differences(pairs | {name: [old[name], new[name]] for name in old if name in new})


def same_programs(base: Sequence[Results], head: Sequence[Results]) -> tuple[str, ...]:
    """Return what identifies the programs and is known to be equal in all runs, as phrases.

    Nothing is said where a digest differs, or where one is known of some runs only.
    """
    first, *others = map(_identities, (*base, *head))
    if any(other != first for other in others) or not all(one.program for one in first.values()):
        return ()
    several = len({configuration for configuration, _ in first}) > 1
    return tuple(
        f"{f'{configuration}: ' if several else ''}{_known(identity)} of {subject}"
        for (configuration, subject), identity in first.items()
    )


def _identities(run: Results) -> dict[tuple[str, str], ProgramIdentity]:
    return {
        (configuration.name, subject): identity
        for configuration in run.configurations
        for subject, identity in (configuration.topology.programs or {}).items()
    }


def _known(identity: ProgramIdentity) -> str:
    """Return which digests of a program are known: ``program, code and packages``."""
    return join_words([part for part in ("program", "code", "packages") if getattr(identity, part)], "and")


def _environment(runs: Sequence[Results], name: str) -> list[str]:
    return _all(runs, lambda run: run.environment.get(name))


def _all(runs: Sequence[Results], take: Callable[[Results], object]) -> list[str]:
    """Return the distinct values of one side's runs."""
    return list(dict.fromkeys("–" if (value := take(run)) in (None, "") else str(value) for run in runs))


def _differences(pairs: Mapping[str, Sequence[list[str]]]) -> tuple[SideBySide, ...]:
    return tuple(
        SideBySide(name.replace("_mib", " (MiB)").replace("_", " "), ", ".join(base), ", ".join(head))
        for name, (base, head) in pairs.items()
        if set(base) != set(head)
    )


def _memory_differs(runs: Sequence[Results]) -> bool:
    """Return whether memory differs by more than the few MiB between two boots of one machine."""
    sizes = [run.environment.get(_MEMORY) for run in runs]
    known = [float(size) for size in sizes if isinstance(size, int | float)]
    return len(known) < len(sizes) or min(known) < (1 - _MEMORY_DIFFERS) * max(known)


def _set_up_on(base: Sequence[Results], head: Sequence[Results]) -> dict[str, list[list[str]]]:
    """Return load and topology on both sides, of the configurations that both have."""
    names = [{configuration.name for configuration in runs[-1].configurations} for runs in (base, head)]
    old, new = (dict(_setup(runs, names[0] & names[1])) for runs in (base, head))
    return {name: [old.get(name, _NOT_SET), new.get(name, _NOT_SET)] for name in {**old, **new}}


def _setup(runs: Sequence[Results], names: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield load and topology of some configurations of the last run, flattened, without what is not set."""
    for configuration in (one for one in runs[-1].configurations if one.name in names):
        name = configuration.name
        yield f"{name}: engine", [configuration.engine]
        system = to_builtins(configuration.topology)
        topology = {key: system.get(key) for key in _TOPOLOGY}
        for path, value in _flat({"load": to_builtins(configuration.load), "topology": topology}):
            yield f"{name}: {path}", [value]
        for what, value in _machines(configuration).items():
            yield f"{name}: {what}", [value]


def _machines(configuration: ConfigurationResults) -> dict[str, str]:
    """Return how many machines there were, what ran on how many of them, and how they were connected."""
    system = configuration.topology
    stages = [stage for stage in configuration.stages if stage.nodes]
    load = {node.name for stage in stages for node in stage.nodes if node.load}
    cores = sorted(node.cores for node in (system.nodes or {}).values())
    together = Counter((system.placement or {}).values())
    return {
        "nodes": str(len(cores) or "–"),
        "cores of the nodes": ", ".join(f"{number:g}" for number in cores) or "–",
        "nodes that make load": str(len(load) or "–"),
        "subjects on each node": ", ".join(map(str, sorted(together.values(), reverse=True))) or "–",
        "network path": system.path or "–",
    }


def _programs(runs: Sequence[Results]) -> Iterator[tuple[str, list[str]]]:
    """Yield what each process of a stack ran, in the last run: digests tell whether the program changed."""
    for configuration in runs[-1].configurations:
        for subject, identity in (configuration.topology.programs or {}).items():
            for part, words in _PROGRAM.items():
                value = getattr(identity, part)[:_DIGITS]
                yield f"{configuration.name}: {words} of {subject}", [value or "–"]


def _flat(tree: Mapping[str, object], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted paths and values, without ports, which every run chooses anew."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        elif value is not None:
            yield f"{path}{key}", _PORT.sub("{port}", _plain(value))


def _plain(value: object) -> str:
    """Return a value of the specification as people write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(list(value) if isinstance(value, tuple) else value)
