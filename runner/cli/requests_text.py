"""The requests, checks and variables of a load, as lines of text (pure)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.experiment.expect import Expect
    from runner.experiment.model import Load, NamedRequest
    from runner.experiment.variable import Variable


def lines_of(load: Load) -> Iterator[str]:
    """Yield a line for each request or step of a scenario, and one for each variable."""
    if load.scenarios:
        from runner.cli.scenario_text import scenario_lines

        yield from scenario_lines(load, _of_step)
    else:
        yield from (f"{_request(part, load)}; {_checks(part.criteria)}" for part in load.parts)
    for name, variable in load.variables.items():
        yield f"variable {name}: {_variable(variable)}"


def _of_step(part: NamedRequest) -> str:
    return f"{part.method} {part.url or part.path}; {_checks(part.criteria)}"


def _request(part: NamedRequest, load: Load) -> str:
    line = f"{part.method} {part.path}"
    return f"{part.name}: {line}, {100 * load.shares[part.name]:.3g} % of the requests" if part.name else line


def _checks(expect: Expect) -> str:
    keys = (*expect.body_checks, *(("headers",) if expect.headers else ()))
    accepted = f"expects status {', '.join(map(str, expect.status))}"
    return f"{accepted}, and checks {', '.join(keys)}" if keys else accepted


def _variable(variable: Variable) -> str:
    order = f", {variable.order or 'sequential'}" if variable.row_format else ""
    order += ", a new value for each request" if variable.is_per_request else ""
    origin = shlex.join(variable.command) if variable.command else variable.path or variable.env or ""
    return f"{variable.source} {origin}".rstrip() + order
