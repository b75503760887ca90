"""The application's templates, and the words and figures in them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runner.experiment.suggestions import harmless
from runner.report import number_format
from runner.report.markdown_text import visible
from runner.serve.assets import asset
from runner.serve.site import address
from runner.store.run_summary import RunState

_MINUS: Final = "−"
_SMALL: Final = 0.0005
_WIDTH, _HEIGHT = 88.0, 20.0
_CURVE: Final = Markup(
    '<svg class="curve" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true">'
    '<polygon points="0,{height} {line} {width},{height}"/><polyline points="{line}"/></svg>'
)


def change(value: float | None) -> str:
    """Return a relative change with its sign; empty where it is not known."""
    if value is None:
        return ""
    if abs(value) < _SMALL:
        return "±0 %"
    percent = abs(value) * 100
    return f"{'+' if value > 0 else _MINUS}{percent:,.{0 if percent >= 10 else 1}f} %"


def moment(text: str) -> str:
    """Return a time as people read it; what is no time as it is."""
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"
    except ValueError:
        return text


def duration(seconds: float | None) -> str:
    """Return how long a run took."""
    if seconds is None:
        return number_format.NOT_APPLICABLE
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def curve(values: tuple[float, ...]) -> Markup:
    """Return a small picture of a row of numbers, from 0 up; empty for fewer than two."""
    if len(values) < 2:
        return Markup("")
    top = max(values) or 1.0
    step = _WIDTH / (len(values) - 1)
    points = [
        f"{at * step:.1f},{_HEIGHT - 1 - max(value, 0.0) / top * (_HEIGHT - 2):.1f}"
        for at, value in enumerate(values)
    ]
    line = " ".join(points)
    return _CURVE.format(width=f"{_WIDTH:g}", height=f"{_HEIGHT:g}", line=line)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("runner.serve"),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "change": change,
        "moment": moment,
        "duration": duration,
        "curve": curve,
        "rate": number_format.rate,
        "ms": number_format.ms,
        "share": number_format.share,
        "address": address,
        "shown": harmless,
    }
    environment.globals |= {"RunState": RunState, "asset": asset, "plural": number_format.plural}
    return environment


_templates: Final = _environment()


def render(template: str, /, **values: object) -> str:
    """Return a template of `runner/serve/templates` with its values filled in."""
    return _templates.get_template(template).render(values)
