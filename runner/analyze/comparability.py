"""In what the surroundings of two sets of runs differ: machine, versions, specification."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Results = Mapping[str, Any]

_MACHINE: Final = ("machine", "cpu_model", "cpu_count", "cpus_usable", "memory_mib", "hypervisor")
_MEMORY_DIFFERS: Final = 0.1
_PORT: Final = re.compile(r"(?<=')\d{4,5}(?=')|(?<=:)\d{4,5}\b")
_VERSIONS: Final = (
    "kernel", "os", "loadproof", "python", "cpu_governor", "clocksource", "cgroup_version", "open_files_soft",
    "ip_local_port_range", "tcp_tw_reuse", "somaxconn", "tcp_max_syn_backlog", "nf_conntrack_max",
)  # fmt: skip
_TOPOLOGY: Final = (
    "kind",
    "command",
    "replicas",
    "network",
    "publish",
    "limits",
    "proxy",
    "images",
    "build",
    "engine",
)


def unlike(base: Sequence[Results], head: Sequence[Results]) -> list[dict[str, str]]:
    """What makes the machines too different to be compared."""
    found = _differences({name: [_environment(runs, name) for runs in (base, head)] for name in _MACHINE})
    return [each for each in found if each["what"] != "memory mib" or _memory_differs(each)]


def changed(base: Sequence[Results], head: Sequence[Results]) -> list[dict[str, str]]:
    """What else is different, to be read before the numbers."""
    pairs = {
        "specification (SHA-256)": [
            _all(runs, lambda each: each["experiment"]["spec_sha256"][:12]) for runs in (base, head)
        ],
        "overrides": [_all(runs, lambda each: " ".join(each["run"]["overrides"])) for runs in (base, head)],
    }
    pairs |= {name: [_environment(runs, name) for runs in (base, head)] for name in _VERSIONS}
    sides = [dict(_setup(runs)) for runs in (base, head)]
    pairs |= {name: [side.get(name, []) for side in sides] for name in sides[0] if name in sides[1]}
    return _differences(pairs)


def _environment(runs: Sequence[Results], name: str) -> list[str]:
    return _all(runs, lambda each: each["environment"].get(name))


def _all(runs: Sequence[Results], take: Any) -> list[str]:
    """What the runs of one side say, each thing once."""
    return list(dict.fromkeys("–" if (value := take(each)) in (None, "") else str(value) for each in runs))


def _differences(pairs: Mapping[str, Sequence[list[str]]]) -> list[dict[str, str]]:
    return [
        {"what": name.replace("_", " "), "base": ", ".join(base), "head": ", ".join(head)}
        for name, (base, head) in pairs.items()
        if set(base) != set(head)
    ]


def _memory_differs(each: Mapping[str, str]) -> bool:
    """Two boots of one machine may differ by a few MiB."""
    try:
        sizes = [float(part) for side in ("base", "head") for part in each[side].split(", ")]
    except ValueError:
        return True
    return min(sizes) < (1 - _MEMORY_DIFFERS) * max(sizes)


def _setup(runs: Sequence[Results]) -> Iterator[tuple[str, list[str]]]:
    """Load and topology of each configuration, flat; of the last run of several."""
    for configuration in runs[-1]["configurations"]:
        name = configuration["name"]
        yield f"{name}: engine", [str(configuration["engine"])]
        topology = {key: configuration["topology"].get(key) for key in _TOPOLOGY}
        for path, value in _flat({"load": configuration["load"], "topology": topology}, name + ": "):
            yield path, [value]


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if not path.endswith(": ") else f"{path}{key}")
    else:
        yield path, _PORT.sub("{port}", str(value))
