"""Markdown as HTML that holds nothing but text: raw HTML and images are switched off."""

from __future__ import annotations

from typing import Final

from markdown_it import MarkdownIt
from markupsafe import Markup

from runner.report.page.templates import render_template

_markdown: Final = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
_MAX_HEADING: Final = 6
_SCROLLING: Final = '<div class="box" tabindex="0" role="region" aria-label="table">'


def text_page(title: str, text: str) -> str:
    """Return a self-contained page of Markdown, such as a comparison."""
    return render_template("text.html.j2", title=title, text=to_html(text))


def to_html(text: str, *, deeper: int = 0) -> Markup:
    """Return Markdown as HTML: headings `deeper` levels down, tables in boxes that scroll by themselves."""
    tokens = _markdown.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + deeper, _MAX_HEADING)}"
    html = _markdown.renderer.render(tokens, _markdown.options, {})
    html = html.replace("<table>", f"{_SCROLLING}<table>").replace("</table>", "</table></div>")
    return Markup(html)  # noqa: S704  (raw HTML is switched off in the parser)
