"""lock.json: what exactly was run, down to image digests and package versions.

Everything is pinned by a digest or a version, or marked as unknown. Of the environment variables that an
application receives, it contains the names only.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from runner.archive.inputs import InputFile
from runner.core.codes import Role
from runner.core.facts import TrialFacts
from runner.core.system_facts import BuildFacts, ImageFacts, ProgramIdentity, ServiceFacts, SystemDescription

SCHEMA_VERSION: Final = 1
_OURS: Final = "loadproof"
_CODE: Final = Path(__file__).parents[1]
_NAME: Final = re.compile(r"^[A-Za-z0-9._-]+")


class PythonVersion(Struct, frozen=True):
    """The interpreter."""

    version: str
    implementation: str


class Software(Struct, frozen=True):
    """The content of software.json: what was installed. Other versions may have recorded less.

    Attributes:
        loadproof: Its version; None if it is not installed as a package.
        code_sha256: Digest of its code.
        python: The interpreter.
        libc: Name and version; None if unknown.
        packages: Name to version of everything that Loadproof needs.
    """

    loadproof: str | None = None
    code_sha256: str = ""
    python: PythonVersion | None = None
    libc: str | None = None
    packages: dict[str, str] = {}


class LockedEngine(Struct, frozen=True):
    """What offered the load: a program with its own version, or a part of Loadproof."""

    version: str | None
    part_of: str | None


class LockedBuild(Struct, frozen=True):
    """A folder that an image was built from.

    Attributes:
        folder: As in the specification.
        context: Digest of the build context; the tag of the image.
        content: SHA-256 of everything in the folder.
    """

    folder: str | None
    context: str | None
    content: str | None


class LockedService(Struct, frozen=True, omit_defaults=True):
    """A service of a stack.

    Attributes:
        origin: As of `runner.core.system_facts.ServiceFacts`.
        image: Of a container.
        env_names: Names of the environment variables that it receives.
        build: What its image was built from.
        files: Path in the specification to the SHA-256 of what was mounted into it.
    """

    origin: str
    image: ImageFacts | None = None
    env_names: tuple[str, ...] = ()
    build: LockedBuild | None = None
    files: dict[str, str] = {}


class LockedSystem(Struct, frozen=True):
    """What the stack of a configuration consisted of.

    Attributes:
        kind: The topology's kind.
        docker: Version of the Docker Engine.
        nginx: Version of the proxy.
        images: Role to image.
        env_names: Names of the environment variables that the app receives.
        build: What the app's image was built from.
        services: Name to service; absent without any.
        programs: Name of a process of the stack to digests of what it ran; absent without any.
    """

    kind: str
    docker: str | None
    nginx: str | None
    images: dict[str, ImageFacts]
    env_names: tuple[str, ...]
    build: LockedBuild | UnsetType = UNSET
    services: dict[str, LockedService] | UnsetType = UNSET
    programs: dict[str, ProgramIdentity] | UnsetType = UNSET


class Lock(Struct, frozen=True):
    """The content of lock.json.

    Attributes:
        schema_version: Of this structure.
        spec_sha256: Digest of the specification.
        resolved_sha256: Digest of the specification with every override and default.
        software: None if it was not recorded during the run.
        engines: Name to version.
        configurations: Name to what its stack consisted of.
        files: Path in the specification to the SHA-256 of each file that requests sent; absent without any.
    """

    schema_version: int
    spec_sha256: str
    resolved_sha256: str
    software: Software | None
    engines: dict[str, LockedEngine]
    configurations: dict[str, LockedSystem]
    files: dict[str, str] | UnsetType = UNSET

    @property
    def version(self) -> str:
        """The version of Loadproof that ran the experiment, as far as it was recorded."""
        return (self.software and self.software.loadproof) or "unknown"


def software() -> Software:
    """Return the versions of this Loadproof, its Python, and everything that it needs, as installed here."""
    return Software(
        loadproof=_version(_OURS),
        code_sha256=code_digest(),
        python=PythonVersion(platform.python_version(), platform.python_implementation()),
        libc=" ".join(platform.libc_ver()).strip() or None,
        packages=dict(sorted(_packages())),
    )


def lock(
    *,
    spec: bytes,
    resolved: bytes,
    software: Software | None,
    trials: Sequence[TrialFacts],
    inputs: Mapping[str, InputFile] = MappingProxyType({}),
) -> Lock:
    """Return the content of lock.json.

    Args:
        spec: The specification, byte for byte.
        resolved: The specification with every override and default.
        software: What `software` returned during the run, None if that was not recorded.
        trials: Of the run.
        inputs: Path in the specification to what was recorded of each file that requests sent.
    """
    return Lock(
        schema_version=SCHEMA_VERSION,
        spec_sha256=hashlib.sha256(spec).hexdigest(),
        resolved_sha256=hashlib.sha256(resolved).hexdigest(),
        software=software,
        engines=_engines(trials),
        configurations={
            trial.configuration: _locked(trial.topology) for trial in trials if trial.topology is not None
        },
        files={path: facts.sha256 for path, facts in sorted(inputs.items())} if inputs else UNSET,
    )


@cache
def code_digest() -> str:
    """Return the SHA-256 of Loadproof's own code, which tells two builds of one version apart."""
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
    """Yield name and version of each installed package that ours needs, directly or not, extras included."""
    seen: set[str] = set()
    waiting = [_OURS]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # of an extra, or of another system
        if name != _OURS:
            yield name, package.version
        waiting += _needs(package)


def _needs(package: Distribution) -> Iterable[str]:
    """Yield the names of what a package needs; those of our own extras count if they are installed."""
    for requirement in package.requires or ():
        name = _NAME.match(requirement)
        if name and ("extra ==" not in requirement or _is_part_of_a_run(package, requirement)):
            yield _normalized(name[0])


def _is_part_of_a_run(package: Distribution, requirement: str) -> bool:
    ours = _normalized(package.name) == _OURS
    return ours and bool(re.search(r"extra == ['\"](app|charts)['\"]", requirement))


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _engines(trials: Iterable[TrialFacts]) -> dict[str, LockedEngine]:
    """Return what offered load; the version only of a program of its own."""
    engines = {
        load.engine: LockedEngine(
            version=load.engine_version or None, part_of=None if load.engine == "k6" else _OURS
        )
        for trial in trials
        if (load := trial.load)
    }
    return dict(sorted(engines.items()))


def _locked(system: SystemDescription) -> LockedSystem:
    images, services = dict(system.images or {}), system.services or {}
    if system.build and system.build.base:
        images["base"] = system.build.base
    return LockedSystem(
        kind=system.kind,
        docker=system.engine.version if system.engine else None,
        nginx=system.proxy.version if system.proxy else None,
        images=dict(sorted(images.items())),
        env_names=tuple(sorted(system.env_names or ())),
        build=_locked_build(system.build, images.get(Role.APP)) if system.build else UNSET,
        services={name: _locked_service(one) for name, one in services.items()} if services else UNSET,
        programs=dict(sorted(system.programs.items())) if system.programs else UNSET,
    )


def _locked_service(service: ServiceFacts) -> LockedService:
    return LockedService(
        origin=service.origin,
        image=service.image,
        env_names=service.env_names,
        build=_locked_build(service.build, service.image) if service.build else None,
        files=dict(service.files or {}),
    )


def _locked_build(build: BuildFacts, image: ImageFacts | None) -> LockedBuild:
    return LockedBuild(
        folder=build.folder,
        context=image.name.rpartition(":")[2] if image else "",
        content=build.content,
    )
