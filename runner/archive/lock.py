"""lock.json: what exactly was run, down to image digests and package versions.

Everything is either pinned by a digest, by a version, or said not to be known. Of environment
variables that an application is given it holds the names alone.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

SCHEMA_VERSION: Final = 1
_OURS: Final = "loadproof"
_CODE: Final = Path(__file__).parents[1]
_NAME: Final = re.compile(r"^[A-Za-z0-9._-]+")
_K6: Final = re.compile(r"offered by (k6 v\S+)")


def software() -> dict[str, object]:
    """Versions of this Loadproof, its Python, and everything that it runs on, as installed here."""
    return {
        "loadproof": _version(_OURS),
        "code_sha256": code_digest(),
        "python": {"version": platform.python_version(), "implementation": platform.python_implementation()},
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "packages": dict(sorted(_packages())),
    }


def lock(
    *, spec: bytes, resolved: bytes, software: Mapping[str, Any] | None, trials: Sequence[Mapping[str, Any]]
) -> dict[str, object]:
    """The content of lock.json.

    Args:
        spec: The specification, byte for byte.
        resolved: The same with every override and default.
        software: What `software` said while the run was on, None when that was not kept.
        trials: As the journal holds them.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "spec_sha256": hashlib.sha256(spec).hexdigest(),
        "resolved_sha256": hashlib.sha256(resolved).hexdigest(),
        "software": software,
        "engines": _engines(trials),
        "configurations": _configurations(trials),
    }


@cache
def code_digest() -> str:
    """SHA-256 of this Loadproof's own code: what tells two builds of one version apart."""
    digest = hashlib.sha256()
    for path in sorted(_CODE.rglob("*.py"), key=lambda path: path.relative_to(_CODE).parts):
        digest.update("/".join(path.relative_to(_CODE).parts).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).digest())
    return digest.hexdigest()


def _version(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def _packages() -> Iterator[tuple[str, str]]:
    """Name and version of each installed package that ours needs, and those need, extras included."""
    seen: set[str] = set()
    waiting = [_OURS]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # of an extra, or of another system
        if name != _OURS:
            yield name, found.version
        waiting += _needs(found)


def _needs(found: Distribution) -> Iterable[str]:
    """Names of what a package needs; those of our own extras count when they are installed."""
    for requirement in found.requires or ():
        name = _NAME.match(requirement)
        if name and ("extra ==" not in requirement or _is_part_of_a_run(found, requirement)):
            yield re.sub(r"[-_.]+", "-", name[0]).lower()


def _is_part_of_a_run(found: Distribution, requirement: str) -> bool:
    ours = re.sub(r"[-_.]+", "-", found.name).lower() == _OURS
    return ours and bool(re.search(r"extra == ['\"](app|charts)['\"]", requirement))


def _engines(trials: Iterable[Mapping[str, Any]]) -> dict[str, object]:
    """What offered load, and its version where it is a program of its own."""
    found: dict[str, object] = {}
    for trial in trials:
        load = trial.get("load") or {}
        said = (_K6.search(note) for note in load.get("notes", ()))
        version = next((match[1].removeprefix("k6 v") for match in said if match), None)
        if name := load.get("engine"):
            found[name] = {"version": version, "part_of": None if name == "k6" else _OURS}
    return dict(sorted(found.items()))


def _configurations(trials: Iterable[Mapping[str, Any]]) -> dict[str, object]:
    """What each configuration's stack was made of, in its last trial that had one."""
    return {trial["configuration"]: _pinned(trial["topology"]) for trial in trials if trial.get("topology")}


def _pinned(topology: Mapping[str, Any]) -> dict[str, object]:
    build = topology.get("build") or {}
    images = {**(topology.get("images") or {})}
    if base := build.get("base"):
        images["base"] = base
    found: dict[str, object] = {
        "kind": topology.get("kind"),
        "docker": (topology.get("engine") or {}).get("version"),
        "nginx": (topology.get("proxy") or {}).get("version"),
        "images": {role: _image(image) for role, image in sorted(images.items())},
        "env_names": sorted(topology.get("env_names") or ()),
    }
    context = str(images.get("app", {}).get("name", "")).rpartition(":")[2] if build else None
    if build:
        found["build"] = {"folder": build.get("folder"), "context": context, "content": build.get("content")}
    return found


def _image(image: Mapping[str, Any]) -> dict[str, object]:
    """Its registry digest where it has one, its id (the digest of its configuration) always."""
    return {key: image.get(key) for key in ("name", "id", "digest", "stands_in_for") if key in image}
