"""What can only be recorded during a run, kept in its folder until the archive is made."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from runner.archive import git, host, lock
from runner.archive.inputs import INPUTS, input_files
from runner.core.errors import OutputError
from runner.core.units import Bytes
from runner.store.data_files import DataFile
from runner.store.json_text import readable
from runner.store.run_folder import RunFolder

PROVENANCE: Final = "provenance"
BEFORE, AFTER = "host-before.json", "host-after.json"
GIT: Final = "git.json"
SOFTWARE: Final = "software.json"
RENDERED, LOGS = "rendered", "logs"
_KEPT_LOG: Final[Bytes] = 64 * 1024


@dataclass(frozen=True, slots=True)
class Provenance:
    """Writes into the run's folder; after a write error the archive lacks a file, and the run goes on.

    Attributes:
        folder: The run's.
    """

    folder: RunFolder

    def begin(
        self,
        base_dir: Path,
        files: Mapping[str, bytes] = MappingProxyType({}),
        data: Sequence[DataFile] = (),
        secret: Collection[str] = (),
        scripts: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Record host, software, commit and inputs, unless an earlier part of this run did. Blocks.

        Args:
            base_dir: The specification's folder, whose repository is recorded.
            files: Those that requests send, by their path in the specification; small ones are kept.
            data: The rows of variables, likewise.
            secret: Names of those that are not kept, because a secret is in them.
            scripts: What hooks run, by its path; likewise.
        """
        if (files or data or scripts) and not (self.folder.path / PROVENANCE / INPUTS).exists():
            self._begin_inputs(files, data, secret, scripts)
        sources: dict[str, Callable[[], object]] = {
            BEFORE: host.facts,
            GIT: lambda: git.state(base_dir),
            SOFTWARE: lock.software,
        }
        for name, read in sources.items():
            if not (self.folder.path / PROVENANCE / name).exists():
                self._write(name, json_file(read()))

    def _begin_inputs(
        self,
        files: Mapping[str, bytes],
        data: Sequence[DataFile],
        secret: Collection[str],
        scripts: Mapping[str, bytes],
    ) -> None:
        rows, contents = {one.name: one for one in data}, {**scripts, **files}
        recorded = input_files(files, rows, secret, scripts)
        for path, facts in recorded.items():
            if facts.kept_as:
                self._write(facts.kept_as, contents[path] if path in contents else rows[path].content())
        self._write(INPUTS, json_file(recorded))

    def end(self) -> None:
        """Record the host after the run."""
        self._write(AFTER, json_file(host.facts()))

    def rendered(self, configuration: str, name: str, content: bytes) -> None:
        """Keep a file that was generated for a configuration, such as ``nginx.conf``."""
        self._write(f"{RENDERED}/{configuration}/{name}", content)

    def log(self, configuration: str, name: str, content: bytes) -> None:
        """Keep the end of the output of a part of a configuration's stack; its next stack replaces it."""
        self._write(f"{LOGS}/{configuration}/{name}.log", content)

    def append_to_log(self, configuration: str, name: str, content: bytes) -> None:
        """Add output to that of earlier calls, of which the end is kept."""
        file = self.log_folder(configuration) / f"{name}.log"
        with suppress(FileNotFoundError):
            earlier = file.read_bytes()
            content = earlier[-max(0, _KEPT_LOG - len(content)) :] + content
        self.log(configuration, name, content)

    def log_folder(self, configuration: str) -> Path:
        """Return where the output of a configuration's stack is kept."""
        return self.folder.path / PROVENANCE / LOGS / configuration

    def _write(self, name: str, content: bytes) -> None:
        with suppress(OutputError):
            self.folder.write(f"{PROVENANCE}/{name}", content)


def json_file(facts: object) -> bytes:
    """Return facts as the content of a JSON file."""
    text = json.dumps(msgspec.to_builtins(facts), indent=1, ensure_ascii=False, allow_nan=False)
    return readable(text).encode() + b"\n"
