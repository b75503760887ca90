"""`runner --version`: which Loadproof this is, what it was made of, and what it runs on."""

from __future__ import annotations

import platform
import sys
from typing import Final

import msgspec

from runner.installation import Installer, Source, installed_version, installer, source

_UNKNOWN: Final = "unknown"
_COMMIT_DIGITS: Final = 12


class VersionFacts(msgspec.Struct, frozen=True):
    """The content of `runner --version --json`.

    Attributes:
        version: Of Loadproof; None if it is not installed as a package.
        commit: What it was made of; None if unknown.
        changed: Whether files differed from that commit; None if unknown.
        compiled: Whether both hot loops of the generator are compiled and used.
        installer: What made the environment.
        environment: The environment's folder.
        python: Version of the interpreter.
        implementation: Such as CPython.
        system: Such as Linux.
        kernel: Its release.
        machine: Architecture of the processor.
        libc: Name and version; None if unknown.
    """

    version: str | None
    commit: str | None
    changed: bool | None
    compiled: bool
    installer: Installer
    environment: str
    python: str
    implementation: str
    system: str
    kernel: str
    machine: str
    libc: str | None


def version_facts() -> VersionFacts:
    """Return what this Loadproof is and what it runs on."""
    made_of: Source = source()
    return VersionFacts(
        version=installed_version(),
        commit=made_of.commit,
        changed=made_of.changed,
        compiled=_is_compiled(),
        installer=installer(),
        environment=sys.prefix,
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        system=platform.system(),
        kernel=platform.release(),
        machine=platform.machine(),
        libc=" ".join(platform.libc_ver()).strip() or None,
    )


def _is_compiled() -> bool:
    from runner.core import draws
    from runner.load import drawing
    from runner.load.exchange import Exchange
    from runner.load.loop import plain_exchange
    from runner.load.scenario_exchange import ScenarioExchange
    from runner.load.scenario_loop import scenario_exchange

    return (
        plain_exchange() is not Exchange
        and scenario_exchange() is not ScenarioExchange
        and drawing.draw is not draws.draw
    )


def version_json() -> str:
    """Return the facts as JSON, one line."""
    return msgspec.json.encode(version_facts()).decode() + "\n"


def version_text() -> str:
    """Return the facts for people; the first line is what `--version` prints everywhere."""
    facts = version_facts()
    commit = (facts.commit or _UNKNOWN)[:_COMMIT_DIGITS]
    lines = [
        f"runner (Loadproof), version {facts.version or _UNKNOWN}",
        f"commit: {commit}{', with changes' if facts.changed else ''}",
        f"generator: {'compiled' if facts.compiled else 'pure Python'}",
        f"Python: {facts.implementation} {facts.python}, in {facts.environment} (made by {facts.installer})",
        f"platform: {facts.system} {facts.kernel} {facts.machine}{f', {facts.libc}' if facts.libc else ''}",
    ]
    return "\n".join(lines) + "\n"
