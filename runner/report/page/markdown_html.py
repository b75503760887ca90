"""Markdown as HTML that can hold nothing but text: raw HTML and pictures are switched off."""

from __future__ import annotations

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

_markdown: Final = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
_environment: Final = Environment(
    loader=PackageLoader("runner.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def text_page(title: str, text: str) -> str:
    """A self-contained page of Markdown, such as a comparison."""
    return _environment.get_template("text.html.j2").render(title=title, text=to_html(text))


def to_html(text: str, *, deeper: int = 0) -> Markup:
    """Markdown as HTML, headings some levels deeper, tables in boxes that scroll by themselves."""
    tokens = _markdown.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + deeper, 6)}"
    html = _markdown.renderer.render(tokens, _markdown.options, {})
    box = '<div class="box" tabindex="0" role="region" aria-label="table">'
    html = html.replace("<table>", f"{box}<table>").replace("</table>", "</table></div>")
    return Markup(html)  # noqa: S704  (raw HTML is switched off in the parser)
