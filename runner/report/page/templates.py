"""The templates of HTML pages; every value is escaped unless it is `Markup`."""

from __future__ import annotations

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

_environment: Final = Environment(
    loader=PackageLoader("runner.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def render_template(name: str, **values: object) -> str:
    """Return a template of `runner/report/templates` with its values filled in."""
    return _environment.get_template(name).render(values)
