"""What the scripts of a collection say in a few usual forms: values to extract, and the expected status.

Scripts are programs and are not run. Only statements that are exactly of a known form are taken over; that
there are others is noted.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from runner.core.jsonpath import steps_of
from runner.importers.draft import Extract

_MAX_CODE: Final = 50_000
_COMMENT: Final = re.compile(r"//[^\n]*")
_RESPONSE: Final = r"(?:pm\.response\.json\(\)|JSON\.parse\((?:responseBody|pm\.response\.text\(\))\))"
_ASSIGNED: Final = re.compile(
    r"^[ \t]{0,80}(?:var|let|const) {1,9}(\w{1,50}) {0,9}= {0,9}" + _RESPONSE + r" {0,9};?[ \t\r]{0,9}$",
    re.MULTILINE,
)
_SET: Final = re.compile(
    r"(?:pm\.(?:environment|collectionVariables|globals|variables)\.set|postman\.set(?:Environment|Global)Variable)"
    r"""\( {0,9}["']([\w.-]{1,50})["'] {0,9}, {0,9}([^;\n]{1,300}?) {0,9}\) {0,9};?[ \t\r]{0,9}$""",
    re.MULTILINE,
)
_PATH: Final = r"((?:\??\.\w{1,50}|\[[0-9]{1,5}\]|\[[\"'][\w -]{1,50}[\"']\]){1,20})"
_HEADER: Final = re.compile(r"""pm\.response\.headers\.get\(["']([\w-]{1,60})["']\)""")
_COOKIE: Final = re.compile(r"""pm\.cookies\.get\(["']([\w.-]{1,60})["']\)""")
_STATUS: Final = re.compile(
    r"pm\.response\.to\.have\.status\(([2-5][0-9]{2})\)"
    r"|pm\.expect\(pm\.response\.code\)\.to\.(?:be\.)?(?:eql?|equal)s?\(([2-5][0-9]{2})\)"
    r"|pm\.expect\(pm\.response\.code\)\.to\.be\.oneOf\(\[([0-9, ]{3,60})\]\)"
    r"|responseCode\.code\s*===?\s*([2-5][0-9]{2})"
)


class Script(NamedTuple):
    """What a script says.

    Attributes:
        extract: Name of each variable that it sets to where the value stands in the response.
        statuses: That it accepts; empty if it says nothing about them.
        other: Whether it does anything else that matters, such as setting variables in another way.
    """

    extract: dict[str, Extract]
    statuses: tuple[int, ...]
    other: bool


def read_script(code: str) -> Script:
    """Return what a script that runs after a response says."""
    code = _without_comments(code[:_MAX_CODE])
    names = set(_ASSIGNED.findall(code))
    extract: dict[str, Extract] = {}
    other = False
    for name, expression in _SET.findall(code):
        if source := _source(expression.strip(), names):
            extract[name] = source
        else:
            other = True
    codes = [group for match in _STATUS.findall(code) for group in match if group]
    statuses = {int(one) for group in codes for one in re.findall(r"[2-5][0-9]{2}", group)}
    other = other or bool(
        re.search(r"\.set(?:NextRequest|Environment|Global)|sendRequest|\.set\(", _SET.sub("", code))
    )
    return Script(extract, tuple(sorted(statuses)), other)


def _without_comments(code: str) -> str:
    first, *others = code.split("/*")
    return _COMMENT.sub("", first + "".join(one.partition("*/")[2] for one in others))


def _source(expression: str, names: set[str]) -> Extract | None:
    """Return where the value of an expression stands in the response; None if that is not certain."""
    if matched := _HEADER.fullmatch(expression):
        return {"header": matched[1]}
    if matched := _COOKIE.fullmatch(expression):
        return {"cookie": matched[1]}
    roots = "|".join([_RESPONSE, *sorted(map(re.escape, names))])
    if matched := re.fullmatch(rf"(?:{roots}){_PATH}", expression):
        path = f"${matched[1].replace('?.', '.')}"
        return {"json": path} if steps_of(path) is not None else None
    return None
