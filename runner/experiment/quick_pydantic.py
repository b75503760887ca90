"""Imports pydantic without two parts of its start that nothing here needs and that take most of its time."""

from __future__ import annotations

import sys
import typing
from importlib import import_module
from types import ModuleType
from typing import Any

import typing_extensions


def _ignore_plugins() -> None:
    """Let pydantic not search all installed packages for plugins, which takes a tenth of the time to start.

    A plugin could also change which specifications are valid.
    """
    loader = ModuleType("pydantic.plugin._loader")
    vars(loader)["get_plugins"] = tuple
    sys.modules.setdefault(loader.__name__, loader)


class _PlainDict(dict[str, Any]):
    """A base class as `TypedDict`, of which only type checkers read the keys."""

    def __init_subclass__(cls, **_: bool) -> None:
        """Accept what a class of a `TypedDict` may be given, such as `total`."""


def _import_core() -> None:
    """Import pydantic_core while its hundred `TypedDict` classes are plain ones.

    They describe for type checkers what its functions return, which is made as dictionaries. Python 3.11
    compiles each of their 700 annotations.
    """
    if "pydantic_core" in sys.modules:
        return
    usual = [(module, vars(module)["TypedDict"]) for module in (typing, typing_extensions)]
    for module, _ in usual:
        vars(module)["TypedDict"] = _PlainDict
    try:
        import_module("pydantic_core")
    finally:
        for module, original in usual:
            vars(module)["TypedDict"] = original


_ignore_plugins()
_import_core()
