"""README.md of an archive: what was run, how to check it, how to run it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

README: Final = "README.md"

_TEXT: Final = """\
# {title}

Run `{id}`, begun {started} ({status}), of an experiment with Loadproof {version}.
It was started by

    {command}

## Look at it

- `report.md` says what happened, where the limit is and how we know.
- `results.json` holds every number; `histograms.hlog` the latency of every second, readable by
  HdrHistogram tools, the stage as its tag.
- `spec.yaml` is what was asked, `spec.resolved.yaml` the same with every override and default,
  `lock.json` the versions and digests of what was run.
- `host-before.json` and `host-after.json` describe the machine, `git.json` the commit.

## Check it

    runner verify ARCHIVE.zip

holds every file against `manifest-sha256.txt` and computes `results.json` again from `journal.ndjson`.
Without Loadproof, `sha256sum --check manifest-sha256.txt` does the first half.

## Run it again

    runner execute ARCHIVE.zip

runs `spec.yaml` with the same overrides{narrowed} and ends with a comparison: reproduced, or not and where.
{needs}Numbers of another machine differ; the comparison lists in what the machines do.
"""


def readme(results: Mapping[str, Any], lock: Mapping[str, Any], *, narrowed: bool) -> bytes:
    """The text.

    Args:
        results: The run's results.json.
        lock: Its lock.json.
        narrowed: Whether only some configurations or stages were run.
    """
    experiment, run = results["experiment"], results["run"]
    return _TEXT.format(
        title=experiment.get("title") or experiment["name"],
        id=run["id"],
        started=run["started_at"],
        status=run["status"],
        version=version_of(lock),
        command=run["command"],
        narrowed=" and the same choice of stages" if narrowed else "",
        needs=_needs(lock),
    ).encode()


def version_of(lock: Mapping[str, Any]) -> str:
    """Which Loadproof ran it, as far as that was kept."""
    return str((lock.get("software") or {}).get("loadproof") or "unknown")


def _needs(lock: Mapping[str, Any]) -> str:
    """What must be there besides Loadproof."""
    configurations = lock.get("configurations") or {}
    folders = sorted({it["build"]["folder"] for it in configurations.values() if it.get("build")})
    variables = sorted({name for it in configurations.values() for name in it.get("env_names", ())})
    found = []
    if folders:
        several = ", ".join(f"`{folder}`" for folder in folders)
        found.append(
            f"It builds from {several}, seen from the specification: run it from a checkout of the commit in "
            "`git.json`; `lock.json` says which content was built.\n"
        )
    if variables:
        found.append(f"The app was given {', '.join(f'`{name}`' for name in variables)}.\n")
    return "".join(found)
