"""What handlers need of a request, and the responses that all of them give."""

from __future__ import annotations

import os
from typing import Final

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from runner.experiment.suggestions import harmless
from runner.serve.rendering import render
from runner.serve.site import Site
from runner.serve.workshop import Busy, JobFailed
from runner.store.run_summary import RunSummary

_SHOWN_DETAILS: Final = 40
_NO_HINT: Final = "Its files are incomplete, or were changed. Run the experiment again."


class _Any(Convertor[str]):
    """The rest of an address in a route, as `{path:any}`: names of folders may have line breaks."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("any", _Any())


def site_of(request: Request) -> Site:
    """Return the application's state."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site


def run_path(request: Request, prefix: str) -> bytes | None:
    """Return the part of the address after a prefix, still encoded; None if the address does not begin so."""
    raw: bytes = request.scope["raw_path"]
    start = prefix.encode()
    return raw[len(start) :] if raw.startswith(start) else None


def run_of(request: Request, prefix: str) -> RunSummary | None:
    """Return the run that an address names; None if there is none."""
    raw = run_path(request, prefix)
    return None if raw is None else site_of(request).find(raw)


def html(template: str, request: Request, status: int = 200, /, **values: object) -> HTMLResponse:
    """Return a page made of a template."""
    return HTMLResponse(render(template, folder=harmless(str(site_of(request).folder)), **values), status)


def without_root(request: Request, text: str) -> str:
    """Return a message in which paths are relative to the folder that is shown: visitors may be strangers."""
    folder = site_of(request).folder
    for root in (os.path.realpath(folder), os.path.abspath(folder)):  # noqa: PTH100  (a name may be no UTF-8)
        if root != os.sep:
            text = text.replace(f"{root}{os.sep}", "")
    return text


def problem(
    request: Request,
    status: int,
    heading: str,
    text: str = "",
    hint: str = "",
    details: tuple[str, ...] = (),
    run: RunSummary | None = None,
) -> Response:
    """Return a page that says what is wrong, and what to do."""
    text, hint, *shown = (without_root(request, line) for line in (text, hint, *details[:_SHOWN_DETAILS]))
    values = {"heading": heading, "text": text, "hint": hint, "details": shown, "run": run}
    return html("problem.html.j2", request, status, **values)


def failed(request: Request, error: JobFailed, heading: str, run: RunSummary | None = None) -> Response:
    """Return a page that says why there is no result of a job."""
    status = 503 if isinstance(error, Busy) else 422
    hint = error.hint or (_NO_HINT if run else "")
    response = problem(request, status, heading, error.message, hint, error.details, run)
    if isinstance(error, Busy):
        response.headers["Retry-After"] = "3"
    return response


def no_such_run(request: Request) -> Response:
    """Return the page for an address that names no run."""
    hint = "It may have been removed or renamed, or it is outside the folder that is shown."
    return problem(request, 404, "There is no such run", hint=hint)
