"""Imports PyYAML without what takes a third of that: to compile one expression of its reader.

The expression lists the 63,000 characters that YAML allows, and Python 3.11 looks at each of them. It matches
the same characters as a list of the 2,200 others, which is compiled in its place. If PyYAML has another
expression, that is used as it is.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import Any, Final

SLOW: Final = "[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
"""As in `yaml.reader.Reader.NON_PRINTABLE`."""
QUICK: Final = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]"


def _import_yaml() -> None:
    """Import PyYAML with the quick expression, unless something else has imported it."""
    if "yaml" in sys.modules:
        return
    compile_pattern = re.compile

    def compiled(pattern: Any, flags: int = 0) -> re.Pattern[Any]:
        return compile_pattern(QUICK if pattern == SLOW else pattern, flags)

    vars(re)["compile"] = compiled
    try:
        import_module("yaml")
    finally:
        vars(re)["compile"] = compile_pattern


_import_yaml()
import yaml as yaml  # noqa: E402, PLC0414  (given on)
