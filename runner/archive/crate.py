"""ro-crate-metadata.json: describes the archive to other tools for research data.

An RO-Crate 1.2 (w3id.org/ro/crate/1.2) in the profile Process Run Crate 0.5
(w3id.org/ro/wfrun/process/0.5): one action, its instrument, its inputs and its outputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from runner.core.results import Results, RunInfo
from runner.core.units import Bytes

CRATE: Final = "ro-crate-metadata.json"
_SPECIFICATION: Final = "https://w3id.org/ro/crate/1.2"
_PROFILE: Final = "https://w3id.org/ro/wfrun/process/0.5"
_RUN, _LICENCE = "#run", "#licence"
_TOOL: Final = "pkg:pypi/loadproof@{}"
"""A package URL: names the software, its version and its registry."""

_FORMATS: Final = {
    ".yaml": "application/yaml",
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".md": "text/markdown",
    ".svg": "image/svg+xml",
    ".js": "text/javascript",
    ".hlog": "text/csv",
}
_DESCRIPTIONS: Final = {
    "spec.yaml": "the specification as it was given",
    "spec.resolved.yaml": "the specification with every override and default",
    "lock.json": "versions and digests of everything that was run",
    "software.json": "versions of Loadproof, Python and its packages",
    "run.json": "how the run was begun and how it ended",
    "journal.ndjson": "what was measured, trial by trial, with the latency histograms",
    "histograms.hlog": "latency of every second, an HdrHistogram log with the stage as its tag",
    "results.json": "every number, computed from the journal",
    "report.md": "the report",
    "host-before.json": "the host before the run",
    "host-after.json": "the host after the run",
    "git.json": "the commit that the specification was taken from",
    "inputs.json": "digests of the files that requests sent",
    "README.md": "how to read this archive and run it again",
    "manifest-sha256.txt": "SHA-256 of every file",
}
_INPUTS: Final = (
    "spec.yaml",
    "spec.resolved.yaml",
    "lock.json",
    "software.json",
    "host-before.json",
    "git.json",
    "inputs.json",
)


def crate(sizes: Mapping[str, Bytes], results: Results, version: str) -> bytes:
    """Return the metadata of an archive.

    Args:
        sizes: Name to size of its files, except this one and the manifest.
        results: Of the run.
        version: Of the Loadproof that ran it.
    """
    names = [*sizes, "manifest-sha256.txt"]
    graph = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": _SPECIFICATION},
        },
        _root(names, results),
        {
            "@id": _PROFILE,
            "@type": ["CreativeWork", "Profile"],
            "name": "Process Run Crate",
            "version": "0.5",
        },
        _licence(),
        _action(names, results, _TOOL.format(version)),
        _tool(version),
        *_files(names, sizes),
    ]
    content = {"@context": f"{_SPECIFICATION}/context", "@graph": graph}
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"


def _root(names: Sequence[str], results: Results) -> dict[str, object]:
    title = results.experiment.title or results.experiment.name
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{title}, run {results.run.id}",
        "description": f"A load experiment with Loadproof: {title}",
        "datePublished": _ended(results.run),
        "license": {"@id": _LICENCE},
        "conformsTo": {"@id": _PROFILE},
        "hasPart": _references(names),
        "mentions": {"@id": _RUN},
    }


def _action(names: Sequence[str], results: Results, tool: str) -> dict[str, object]:
    run = results.run
    complete = run.status == "complete"
    action: dict[str, object] = {
        "@id": _RUN,
        "@type": "CreateAction",
        "name": f"Run {run.id} of {results.experiment.name}",
        "description": run.command,
        "instrument": {"@id": tool},
        "object": _references([name for name in names if _is_input(name)]),
        "result": _references([name for name in names if not _is_input(name)]),
        "startTime": run.started_at,
        "endTime": _ended(run),
        "actionStatus": f"http://schema.org/{'Completed' if complete else 'Failed'}ActionStatus",
    }
    if not complete:
        action["error"] = run.error or run.signal or "it was cut short"
    return action


def _is_input(name: str) -> bool:
    return name in _INPUTS or name.startswith("inputs/")


def _tool(version: str) -> dict[str, object]:
    return {
        "@id": _TOOL.format(version),
        "@type": "SoftwareApplication",
        "name": "Loadproof",
        "description": "A declarative experiment runner for HTTP services",
        "url": _TOOL.format(version),
        "version": version,
        "softwareVersion": version,
    }


def _licence() -> dict[str, object]:
    return {
        "@id": _LICENCE,
        "@type": "CreativeWork",
        "name": "No licence stated",
        "description": "Whoever publishes this archive says under which terms it may be used.",
    }


def _files(names: Sequence[str], sizes: Mapping[str, Bytes]) -> Iterator[dict[str, object]]:
    for name in names:
        size = {"contentSize": str(sizes[name])} if name in sizes else {}
        yield {
            "@id": name,
            "@type": "File",
            "name": name,
            "description": _DESCRIPTIONS.get(name) or _about(name),
            "encodingFormat": _FORMATS.get(PurePosixPath(name).suffix, "text/plain"),
            **size,
        }


def _about(name: str) -> str:
    folder, _, rest = name.partition("/")
    return {
        "charts": "a chart of the report",
        "inputs": "a file that requests sent",
        "logs": f"the end of what {PurePosixPath(rest).stem} printed",
        "rendered": f"{PurePosixPath(rest).name} as it was made for configuration {rest.partition('/')[0]}",
    }.get(folder, name)


def _references(names: Sequence[str]) -> list[dict[str, str]]:
    return [{"@id": name} for name in names]


def _ended(run: RunInfo) -> str:
    return run.finished_at or run.started_at
