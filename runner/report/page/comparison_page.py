"""A comparison as HTML: what changed first, everything that it rests on folded."""

from __future__ import annotations

from markupsafe import Markup

from runner.core.comparison import Comparison
from runner.report.comparison import comparison_parts
from runner.report.number_format import plural
from runner.report.page.markdown_html import render_template, to_html


def comparison_html(comparison: Comparison) -> Markup:
    """Return a comparison as a part of a page."""
    first, details = comparison_parts(comparison)
    stages = plural(sum(stage.is_whole for stage in comparison.stages), "stage")
    summary = f"Every metric of {stages}, other differences, and the method"
    folded = Markup("<details><summary>{}</summary>{}</details>").format(summary, to_html(details))
    return to_html(first) + folded


def comparison_page(comparison: Comparison) -> str:
    """Return a comparison as a self-contained page."""
    return render_template("text.html.j2", title="Comparison", text=comparison_html(comparison))
