"""Addresses that a page refers to where an application serves it, instead of holding everything itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExternalFiles:
    """Addresses of the files that a page served by an application loads.

    Attributes:
        style: Of page.css.
        theme: Of theme.js, which switches between light and dark colours; loaded before the page is shown.
        script: Of page.js, which draws the charts and sorts tables.
        bundle: Of the chart library, which defines ``vegaEmbed``; empty for a page without charts.
    """

    style: str
    theme: str
    script: str
    bundle: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A link in the head of a page, such as back to the list of runs."""

    href: str
    text: str
