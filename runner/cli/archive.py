"""`runner archive`: list, print, extract, compare and create archives."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli import exit_codes
from runner.cli.output import answer, answer_path, put
from runner.core.errors import UsageError

_PATH = click.Path(path_type=Path)


@click.group()
def archive() -> None:
    """Work with archives, the ZIP files that `runner execute` writes; each is checked before use."""


@archive.command("ls")
@click.argument("zip_", metavar="ZIP", type=_PATH)
def list_files(zip_: Path) -> int:
    """List the files of ZIP with their sizes."""
    from runner.archive.unpack import read_archive

    content = read_archive(zip_)
    for name in sorted(content.files):
        answer(f"{len(content.files[name]):>10,}  {name}")
    answer(f"sha256 {content.sha256}")
    return exit_codes.DONE


@archive.command("show")
@click.argument("zip_", metavar="ZIP", type=_PATH)
@click.argument("name")
def show(zip_: Path, name: str) -> int:
    """Print the file NAME of ZIP, byte for byte."""
    from runner.archive.unpack import read_archive

    files = read_archive(zip_).files
    if name not in files:
        from runner.experiment.suggestions import did_you_mean

        hint = did_you_mean(name, list(files)) or f"`runner archive ls {zip_}` lists its files"
        raise UsageError(f"there is no file {name!r} in {zip_}", hint=hint)
    put(files[name])
    return exit_codes.DONE


@archive.command("extract")
@click.argument("zip_", metavar="ZIP", type=_PATH)
@click.argument("folder", type=_PATH)
def extract(zip_: Path, folder: Path) -> int:
    """Write the files of ZIP into FOLDER, which is new or empty."""
    from runner.archive.unpack import extract as write
    from runner.archive.unpack import read_archive

    write(read_archive(zip_), folder)
    answer_path(folder)
    return exit_codes.DONE


@archive.command("diff")
@click.argument("base", type=_PATH)
@click.argument("head", type=_PATH)
def diff(base: Path, head: Path) -> int:
    """Show how two archives differ.

    Numbers are left out: `runner compare` compares them.
    """
    from runner.archive.diff import differences
    from runner.archive.unpack import read_archive

    lines = differences(read_archive(base).files, read_archive(head).files)
    for line in lines:
        answer(line)
    if not lines:
        answer("the archives have the same content")
    return exit_codes.DONE


@archive.command("pack")
@click.argument("run", type=_PATH)
@click.option("--out", type=_PATH, metavar="FILE", help="Write to FILE, not into RUN.")
def pack(run: Path, out: Path | None) -> int:
    """Create the archive of RUN again.

    RUN is the folder of a run; the same run gives the same archive.
    """
    from runner.archive.create import archive_folder

    answer_path(archive_folder(run, out))
    return exit_codes.DONE
