"""The page of one run, and the files of a run for saving."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import trio
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from runner.experiment.suggestions import harmless
from runner.report.page.links import Link
from runner.serve.protection import POLICY, with_own_scripts
from runner.serve.requests import failed, no_such_run, problem, run_of, site_of
from runner.serve.site import Site, address
from runner.serve.workshop import JobFailed
from runner.store.live_file import is_in_progress, read_beginning
from runner.store.run_names import RESULTS
from runner.store.run_summary import RunState, RunSummary
from runner.store.unfinished import has_results

FILES: Final = {
    "report.md": "text/markdown; charset=utf-8",
    RESULTS: "application/json",
    "archive": "application/zip",
    "timeseries": "text/csv; charset=utf-8",
}
"""What can be saved of a run, to its type."""
_FILE_NAMES: Final = {"archive": "archive (ZIP)", "timeseries": "time series (CSV)"}
"""What a link says, where it is not the name of the file."""
_HEADINGS: Final = {
    RunState.DAMAGED: "This run is damaged",
    RunState.UNVERIFIED: "This archive does not verify",
    RunState.UNREADABLE: "This cannot be read",
    RunState.FOREIGN: "This is not a run",
    RunState.LINK: "This is a link",
    RunState.FAILED: "This run failed before the load",
    RunState.INTERRUPTED: "This run was interrupted",
}
_LINK_HINT: Final = (
    "Links are not followed, because they may lead out of the folder. Serve the folder that it leads to."
)
_LEFT: Final = "The server of this page has ended with the run. To open it again: runner serve {}"
_CHUNK: Final = 64 * 1024


async def run_page(request: Request) -> Response:
    """Return the report of a run, or what is known of one that has none."""
    site = site_of(request)
    run = run_of(request, "/run/")
    if run is None:
        await site.freshen()  # it may be a new one
        run = run_of(request, "/run/")
    where = inside(site, run) if run else None
    if run is None or (where is None and run.state is not RunState.LINK):
        return no_such_run(request)
    if run.state is RunState.RUNNING or (
        run.state is RunState.UNREAD and await trio.to_thread.run_sync(_is_in_progress, site, run)
    ):
        return RedirectResponse(f"/live/{address(run)}", 303)
    if run.state in _HEADINGS and run.state is not RunState.INTERRUPTED:
        hint = _LINK_HINT if run.state is RunState.LINK else run.hint
        return problem(request, 200, _HEADINGS[run.state], run.problem, hint, run=run)
    return await _report(request, site, run, where)


async def _report(request: Request, site: Site, run: RunSummary, where: Path | None) -> Response:
    try:
        is_interrupted = run.state is RunState.INTERRUPTED
        if run.path == site.awaited:
            note = _LEFT.format(shlex.quote(harmless(str(site.folder))))
            content = await site.page(run, "report_page", where, is_interrupted, (), note)
            return HTMLResponse(content, headers={POLICY: with_own_scripts(content)})
        content = await site.page(run, "report_page", where, is_interrupted, _saved(run))
    except JobFailed as error:
        is_damaged = error.kind == "ArchiveDamaged"
        state = RunState.UNVERIFIED if is_damaged else run.state
        return failed(request, error, _HEADINGS.get(state, "This run cannot be shown"), run)
    return HTMLResponse(content)


def _saved(run: RunSummary) -> list[Link]:
    """Return links to the files of a run that can be saved."""
    return [Link(f"/download/{kind}/{address(run)}", _FILE_NAMES.get(kind, kind)) for kind in _kinds(run)]


def _kinds(run: RunSummary) -> list[str]:
    """Return what can be saved of a run: of an interrupted one, what its journal gives."""
    if run.state in {RunState.INTERRUPTED, RunState.RUNNING}:
        return ["timeseries"]
    return [kind for kind in FILES if kind != "archive" or run.is_archive or run.archive]


def _is_in_progress(site: Site, run: RunSummary) -> bool:
    """Return whether a run that the list has not read yet is in progress."""
    where = inside(site, run)
    beginning = read_beginning(where) if where and not has_results(where) else None
    return beginning is not None and where is not None and is_in_progress(beginning, where)


async def download(request: Request) -> Response:
    """Return a file of a run for saving."""
    kind = str(request.path_params["kind"])
    run, site = run_of(request, f"/download/{kind}/"), site_of(request)
    where = inside(site, run) if run and kind in _kinds(run) else None
    if run is None or where is None:
        return no_such_run(request)
    headers = {"Content-Disposition": _disposition(run, kind)}
    try:
        if kind == "timeseries":
            content = await site.page(run, "timeseries", where)
        elif run.is_archive and kind != "archive":
            content = await site.page(run, "archived_file", where, kind)
        else:
            return _file(request, site, run, kind, headers)
    except JobFailed as error:
        return failed(request, error, "This file cannot be given", run)
    return Response(content, media_type=FILES[kind], headers=headers)


def inside(site: Site, run: RunSummary) -> Path | None:
    """Return the path of a run; None if it leads out of the folder by now."""
    root = os.path.realpath(site.folder)
    where = os.path.join(root, run.path) if run.path else root  # noqa: PTH118  (a name may be no UTF-8)
    return Path(where) if os.path.realpath(where) == where else None


def _file(request: Request, site: Site, run: RunSummary, kind: str, headers: dict[str, str]) -> Response:
    """Return a file as it is on disk; a link, a device or a pipe counts as none."""
    name = run.archive if kind == "archive" else kind
    where = inside(site, run)
    if where is None or not (name or run.is_archive):
        return no_such_run(request)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(where if run.is_archive else where / name, flags)
    except OSError as error:
        return problem(request, 404, f"There is no {kind} of this run", error.strerror or "", run=run)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return problem(request, 404, f"There is no {kind} of this run", "it is no file", run=run)
    headers["Content-Length"] = str(status.st_size)
    if request.method == "HEAD":
        os.close(descriptor)
        return Response(media_type=FILES[kind], headers=headers)
    return StreamingResponse(_content(descriptor, status.st_size), media_type=FILES[kind], headers=headers)


async def _content(descriptor: int, size: int) -> AsyncIterator[bytes]:
    """Yield a file, at most as much of it as was announced."""
    try:
        while size > 0 and (piece := await trio.to_thread.run_sync(os.read, descriptor, min(_CHUNK, size))):
            size -= len(piece)
            yield piece
    finally:
        os.close(descriptor)


def _disposition(run: RunSummary, kind: str) -> str:
    """Return the header by which a browser saves the file under a name that says which run it is of."""
    stem = "-".join(filter(None, (run.experiment, run.run_id))) or "run"
    name = {"archive": f"{stem}.zip", "timeseries": f"{stem}-timeseries.csv"}.get(kind, f"{stem}-{kind}")
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
