"""Pages about several runs: two of them compared, and the history of an experiment."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from runner.serve.list_page import is_selectable
from runner.serve.listing import Row, row
from runner.serve.requests import failed, html, problem, site_of, without_root
from runner.serve.run_pages import inside
from runner.serve.workshop import JobFailed
from runner.store.run_before import run_before

_MOST_RUNS: Final = 200
"""In a history: the newest ones."""


async def compare_page(request: Request) -> Response:
    """Return the comparison of two runs, the earlier one as the base unless ``swap`` is given."""
    site = site_of(request)
    ticked = dict.fromkeys(request.query_params.getlist("run"))
    runs = [run for path in ticked if (run := site.find(path.encode(errors="replace"))) is not None]
    if len(ticked) != 2:
        hint = "Go back to the list, tick two runs, and compare them."
        return problem(
            request, 400, "Two runs are needed for a comparison", f"{len(ticked)} were given", hint
        )
    unusable = next((run for run in runs if not is_selectable(run)), None)
    places = [inside(site, run) for run in runs]
    if len(runs) != 2 or unusable or None in places:
        hint = "Only runs with results can be compared."
        return problem(request, 400, "These runs cannot be compared", hint=hint, run=unusable)
    swap, force = (request.query_params.get(name) == "1" for name in ("swap", "force"))
    pairs = sorted(zip(runs, places, strict=True), key=lambda pair: pair[0].started_at, reverse=swap)
    (base, base_place), (head, head_place) = pairs
    forced = _address(ticked, swap=swap, force=True)
    if base.experiment != head.experiment and not force:
        text = f"They are runs of different experiments: {base.experiment} and {head.experiment}"
        return html("different.html.j2", request, 400, text=text, force=forced)
    try:
        text, title = await site.pages.run("comparison_text", base_place, head_place, force)
    except JobFailed as error:
        if error.kind == "UsageError" and not force:
            text = without_root(request, error.message)
            return html("different.html.j2", request, 400, text=text, force=forced)
        return failed(request, error, "These runs cannot be compared")
    return html(
        "compare.html.j2",
        request,
        title=title,
        base=base,
        head=head,
        text=Markup(text),  # noqa: S704  (HTML without raw HTML)
        address=_address(ticked, swap=swap, force=force),
        swapped=_address(ticked, swap=not swap, force=force),
    )


async def history_page(request: Request) -> Response:
    """Return how the numbers of an experiment changed from run to run."""
    site = site_of(request)
    await site.freshen()
    name = request.query_params.get("experiment", "")
    every = site.index.rows
    runs = [run for run in every if run.experiment == name and is_selectable(run)]
    shown = runs[:_MOST_RUNS]
    places = [place for run in shown if (place := inside(site, run)) is not None]
    before = run_before(every)
    rows = [row(run, before.get(run.path)) for run in shown]
    if len({run.run_id for run in runs}) < 2:
        return _short_history(request, name, rows)
    try:
        text, data, charts = await site.pages.run("history_text", places)
    except JobFailed as error:
        return failed(request, error, f"There is no history of {name}")
    return html(
        "history.html.j2",
        request,
        name=name,
        rows=rows,
        left_out=len(runs) - len(shown),
        text=Markup(text),  # noqa: S704  (HTML without raw HTML)
        data=Markup(data),  # noqa: S704  (JSON without angle brackets)
        charts=charts,
    )


def _short_history(request: Request, name: str, rows: list[Row]) -> Response:
    if not rows:
        return problem(request, 404, "There is no such experiment", f"no run of {name or 'it'} has results")
    values = {"name": name, "rows": rows, "left_out": 0, "text": "", "data": "{}", "charts": []}
    return html("history.html.j2", request, **values)


def _address(ticked: dict[str, None], *, swap: bool, force: bool) -> str:
    parameters = [("run", path) for path in ticked]
    parameters += [(name, "1") for name, is_on in (("swap", swap), ("force", force)) if is_on]
    return f"/compare?{urlencode(parameters, errors='replace')}"
