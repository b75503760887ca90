"""What nginx wrote to its error log, which says why it answered for the app or closed a connection."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from runner.stack.protocols import QUOTED_LINES

READ_LINES: Final = 50
"""Of the end of the log; access logs may be in it."""
_ERROR: Final = re.compile(
    r"\[(?:warn|error|crit|alert|emerg)\] [0-9]{1,10}#[0-9]{1,10}: (?:\*[0-9]{1,20} )?"
)
_OF_REQUEST: Final = ", client: "
_MAX_LENGTH: Final = 200


def error_messages(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the last different messages of an error log, without time, process and the request's details."""
    messages: dict[str, None] = {}
    for line in lines:
        if found := _ERROR.search(line):
            message = line[found.end() :].partition(_OF_REQUEST)[0][:_MAX_LENGTH].strip()
            messages.pop(message, None)
            messages[message] = None
    return tuple(messages)[-QUOTED_LINES:]
