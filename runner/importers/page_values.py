"""Values in the links and in the scripts of a page, and the expressions that find them there again."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple
from urllib.parse import unquote

from runner.core.regex import first_group

_LINK: Final = re.compile(r"""<a\b[^<>]{0,2000}?\bhref\s*=\s*(["'])([^"'<>]{1,2000})\1""", re.IGNORECASE)
_SCRIPT: Final = re.compile(r"<script\b([^<>]{0,1000})>", re.IGNORECASE)
_ASSIGNED: Final = re.compile(
    r"""\b([A-Za-z_][A-Za-z0-9_]{0,40})["']?\s{0,5}[:=]\s{0,5}(?:"([^"'<>\\]{1,400})"|'([^"'<>\\]{1,400})'|([0-9]{1,18})\b)"""
)
_WITH_DIGIT: Final = re.compile(r"[^?#&]*[0-9][^?#&]*")
_PAIR: Final = re.compile(r"[?&](?:amp;)?([A-Za-z0-9_.-]{1,60})=([A-Za-z0-9_.~%-]{1,1000})")
_MAX_LINKS: Final = 200
_MAX_ASSIGNED: Final = 500
_MAX_SCRIPTS: Final = 50
_MAX_SCRIPT: Final = 200_000


class PageValue(NamedTuple):
    """A value in a page.

    Attributes:
        value: As text.
        kind: Its type in a script; `str` of a link.
        key: What the page calls it; ``id`` of a part of a path.
        owner: Of a part of a path: the part before it.
        regex: The expression for it.
        path: Of a part of a path: the whole path before it; empty otherwise.
        is_link: Whether it stands in a link, which a browser sends as it is.
    """

    value: str
    kind: type
    key: str
    owner: str
    regex: str
    path: str = ""
    is_link: bool = False


def page_values(body: str) -> Iterator[PageValue]:
    """Yield the values of the first links and scripts of a page that an expression finds first."""
    text = body.encode()
    for number, link in enumerate(_LINK.finditer(body)):
        if number >= _MAX_LINKS:
            break
        yield from (one for one in _of_link(link[1], link[2]) if _is_first(one, text))
    yield from (one for one in _of_scripts(body) if _is_first(one, text))


def _is_first(one: PageValue, text: bytes) -> bool:
    found = first_group(one.regex, text)
    return found is not None and unquote(html.unescape(found.decode(errors="replace"))) == one.value


def _of_link(quote: str, href: str) -> Iterator[PageValue]:
    """Yield the parts of a path that have a digit, and the parameters, of a link within the service."""
    path, mark, _ = href.partition("?")
    if path.startswith("/") and not path.startswith("//"):
        before = ""
        for segment in path.partition("#")[0].split("/")[1:]:
            if before and _WITH_DIGIT.fullmatch(segment):
                regex = f"href={quote}{re.escape(before)}/([^{quote}/?&#]+)"
                owner = before.rpartition("/")[2]
                yield PageValue(unquote(segment), str, "id", owner, regex, before, is_link=True)
            before = f"{before}/{segment}"
    if mark and "//" not in path:
        start = re.escape(path)
        for name, value in _PAIR.findall(href):
            regex = f"href={quote}{start}[?](?:[^{quote}]*&(?:amp;)?)?{re.escape(name)}=([^{quote}&#]*)"
            yield PageValue(unquote(html.unescape(value)), str, name, "", regex, is_link=True)


def _of_scripts(body: str) -> Iterator[PageValue]:
    """Yield what scripts in the page assign to a name: ``csrfToken: "x7…"``, ``var cart = 17``."""
    assigned = (found for script in _scripts(body) for found in _ASSIGNED.finditer(script))
    for number, found in enumerate(assigned):
        if number >= _MAX_ASSIGNED:
            return
        name, double, single, whole = found.groups()
        name_and_sign = rf"""\b{re.escape(name)}["']?\s*[:=]\s*"""
        if whole:
            yield PageValue(whole, int, name, "", f"{name_and_sign}([0-9]+)")
        else:
            yield PageValue(double or single, str, name, "", f"""{name_and_sign}["']([^"']*)""")


def _scripts(body: str) -> Iterator[str]:
    """Yield the beginnings of the first scripts that stand in a page."""
    for start in islice(_SCRIPT.finditer(body), _MAX_SCRIPTS):
        end = body.find("</script", start.end(), start.end() + _MAX_SCRIPT)
        if end >= 0 and "src=" not in start[1].lower():
            yield body[start.end() : end]
