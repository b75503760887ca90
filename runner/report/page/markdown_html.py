"""Templates of HTML pages, and Markdown as HTML without raw HTML and images; other values are escaped."""

from __future__ import annotations

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from runner.report.markdown_text import visible

_environment: Final = Environment(
    loader=PackageLoader("runner.report"),
    autoescape=True,
    finalize=visible,
    undefined=StrictUndefined,
    trim_blocks=True,
)
_markdown: Final = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
_MAX_HEADING: Final = 6
_SCROLLING: Final = '<div class="box" tabindex="0" role="group" aria-label="table">'


def render_template(name: str, **values: object) -> str:
    """Return a template of `runner/report/templates` with its values filled in."""
    return _environment.get_template(name).render(values)


def text_page(title: str, text: str) -> str:
    """Return a self-contained page of Markdown, such as a comparison."""
    return render_template("text.html.j2", title=title, text=to_html(text))


def to_html(text: str, *, deeper: int = 0) -> Markup:
    """Return Markdown as HTML: headings `deeper` levels down, tables in boxes that scroll by themselves."""
    tokens = _markdown.parse(str(visible(text)))
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + deeper, _MAX_HEADING)}"
        if token.attrs.pop("style", None) == "text-align:right":  # a page with a strict policy has no styles
            token.attrs["class"] = "number"
    html = _markdown.renderer.render(tokens, _markdown.options, {})
    html = html.replace("<table>", f"{_SCROLLING}<table>").replace("</table>", "</table></div>")
    html = html.replace("<pre>", '<pre tabindex="0">')  # it scrolls, from the keyboard too
    return Markup(html)  # noqa: S704  (raw HTML is switched off in the parser)
