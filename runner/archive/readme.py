"""README.md of an archive: what was run, how to check it, how to run it again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from runner.archive.lock import Lock
from runner.core.results import Results
from runner.report.markdown_text import EMPTY, Markdown, code, join, markdown

README: Final = "README.md"

_TEXT: Final = """\
# {title}

Run `{id}` of an experiment with Loadproof {version}, started {started} ({status}) with

    {command}

## Read it

- `report.md` shows what happened, where the limit is, and how we know.
- `results.json` contains every number; `histograms.hlog` the latency of every second, readable by
  HdrHistogram tools, with the stage as its tag.
- `spec.yaml` is the specification, `spec.resolved.yaml` the specification with every override and default,
  `lock.json` the versions and digests of what was run.
- `host-before.json` and `host-after.json` describe the machine, `git.json` the commit.

## Check it

    runner verify ARCHIVE.zip

compares every file with `manifest-sha256.txt` and computes `results.json` again from `journal.ndjson`.
Without Loadproof, `sha256sum --check manifest-sha256.txt` does the first part.

## Run it again

    runner execute ARCHIVE.zip

runs `spec.yaml` with the same overrides{narrowed} and ends with a comparison: reproduced or not, and
where not. {needs}Another machine gives other numbers; the comparison lists the differences between the
machines.
"""


def readme(results: Results, lock: Lock, *, narrowed: bool) -> bytes:
    """Return the text.

    Args:
        results: Of the run.
        lock: Its lock.json.
        narrowed: Whether only some configurations or stages were run.
    """
    experiment, run = results.experiment, results.run
    return markdown(
        _TEXT,
        title=experiment.title or experiment.name,
        id=Markdown(run.id),
        started=run.started_at,
        status=run.status,
        version=lock.version,
        command=Markdown(" ".join(run.command.split())),
        narrowed=Markdown(" and the same selection of stages") if narrowed else EMPTY,
        needs=_needs(lock, run.files_outside or ()),
    ).encode()


def _needs(lock: Lock, files_outside: Collection[str]) -> Markdown:
    """Return what is needed besides Loadproof, as sentences."""
    systems = lock.configurations.values()
    folders = {system.build.folder or "" for system in systems if system.build}
    variables = {name for system in systems for name in system.env_names}
    sentences = []
    if folders:
        sentences.append(
            markdown(
                "It builds from {}, relative to the specification: run it from a checkout of the commit in "
                "`git.json`; `lock.json` records the content that was built.\n",
                _listed(folders),
            )
        )
    if files := lock.files or {}:
        sentences.append(
            markdown(
                "Its requests send the files {}, relative to the specification; those below 1 MiB are in "
                "`inputs/`, and `inputs.json` says which is which.\n",
                _listed(files),
            )
        )
    if files_outside:
        sentences.append(
            markdown(
                "{} must exist with the same content outside the specification's folder.\n",
                _listed(files_outside),
            )
        )
    if variables:
        sentences.append(markdown("The app received the environment variables {}.\n", _listed(variables)))
    return join("", sentences)


def _listed(names: Iterable[str]) -> Markdown:
    return join(", ", [code(name) for name in sorted(names)])
