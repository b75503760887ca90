"""Two commands of setuptools that note in wheels and source distributions which commit they are made of.

`[tool.setuptools.cmdclass]` of pyproject.toml names them. `runner --version` shows the note. Without git
there is none; a checkout that is installed with ``--editable`` is asked itself.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

NOTE = "runner/source_commit.json"
_GIT_TIMEOUT_S = 20


class BuildWithNote(build_py):
    """Builds the Python files, and the note beside them."""

    def run(self) -> None:
        """Build; an editable installation stays as it is."""
        super().run()
        if not self.editable_mode:
            write_note(Path.cwd(), Path(self.build_lib))


class SourceWithNote(sdist):
    """Makes a source distribution that contains the note, because it has no history of its own."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Fill the folder that the distribution is made of."""
        super().make_release_tree(base_dir, files)
        write_note(Path.cwd(), Path(base_dir))


def write_note(source: Path, target: Path) -> None:
    """Write the note of a source tree into a folder; nothing if its commit is unknown."""
    note = source / NOTE
    text = note.read_text(encoding="utf-8") if note.is_file() else _ask_git(source)
    if text:
        file = target / NOTE
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _ask_git(source: Path) -> str:
    """Return the note for a checkout; empty if this is none, such as a copy inside another repository."""
    if not (source / ".git").exists():
        return ""
    try:
        commit = _git(source, "rev-parse", "HEAD").strip()
        changed = bool(_git(source, "status", "--porcelain", "--untracked-files=no").strip())
    except (OSError, subprocess.SubprocessError):
        return ""
    return json.dumps({"commit": commit, "changed": changed}) + "\n"


def _git(source: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(source), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=_GIT_TIMEOUT_S,
    )
    return done.stdout
