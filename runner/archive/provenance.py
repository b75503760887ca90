"""What can only be known while a run is on, kept in its folder until the archive is made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.archive import git, host, lock
from runner.core.errors import OutputError
from runner.store.run_folder import RunFolder

PROVENANCE: Final = "provenance"
BEFORE, AFTER = "host-before.json", "host-after.json"
GIT: Final = "git.json"
SOFTWARE: Final = "software.json"
RENDERED, LOGS = "rendered", "logs"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Writes into the run's folder; a full disk costs the archive a file, never the run.

    Attributes:
        folder: The run's.
    """

    folder: RunFolder

    def begin(self, base_dir: Path) -> None:
        """Note host, software and commit, unless an earlier part of this run did. Blocks.

        Args:
            base_dir: The specification's folder; its repository is what is noted.
        """
        facts = {
            BEFORE: host.facts,
            GIT: lambda: git.state(base_dir),
            SOFTWARE: lock.software,
        }
        for name, take in facts.items():
            if not (self.folder.path / PROVENANCE / name).exists():
                self._write(name, _json(take()))

    def end(self) -> None:
        """Note how the host is afterwards."""
        self._write(AFTER, _json(host.facts()))

    def rendered(self, configuration: str, name: str, content: bytes) -> None:
        """Keep a file that was made for a configuration, such as ``nginx.conf``."""
        self._write(f"{RENDERED}/{configuration}/{name}", content)

    def log(self, configuration: str, name: str, content: bytes) -> None:
        """Keep the end of what a part of a configuration's stack printed; its next stack's replaces it."""
        self._write(f"{LOGS}/{configuration}/{name}.log", content)

    def _write(self, name: str, content: bytes) -> None:
        with suppress(OutputError):
            self.folder.write(f"{PROVENANCE}/{name}", content)


def _json(facts: Mapping[str, object]) -> bytes:
    return json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
