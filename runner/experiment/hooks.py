"""What runs around the load: the ``hooks`` of a configuration, and which values they may use.

A hook is a command or a request. Values that a request's hook extracts from its response can be used by
later hooks and by the load.
"""

import shlex
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Annotated, Any, Final, NamedTuple, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from runner.core.units import Seconds
from runner.experiment.base_model import Conflict, SpecModel, WhenUsed, conflict_if, refuse
from runner.experiment.expect import Expect, StatusCode
from runner.experiment.extraction import Extraction
from runner.experiment.fields import AsWritten, EnvName, Text
from runner.experiment.quantities import HOUR, Time
from runner.experiment.request import Request
from runner.experiment.suggestions import harmless
from runner.experiment.variables import VariableName

MAX_HOOKS: Final = 50
"""In each phase."""
_SHOWN: Final = 120


class Phase(StrEnum):
    """When hooks run, as the key in a specification."""

    SETUP = "setup"
    BEFORE_TRIAL = "before_trial"
    TEARDOWN = "teardown"


class HookExpect(Expect):
    """Criteria for the response to a hook's request."""

    status: tuple[StatusCode, ...] = Field(
        ("2xx",),
        min_length=1,
        max_length=100,
        description="Status codes of a successful response; 2xx stands for 200 to 299.",
        examples=[[201, 409]],
    )


class HookRequest(Request):
    """One HTTP request outside the load."""

    expect: HookExpect = Field(
        default_factory=dict,
        validate_default=True,
        description="Criteria for a successful response; any other one fails the hook.",
    )


class Hook(SpecModel):
    """A command or a request that runs before or after the load."""

    run: tuple[AsWritten, ...] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Program and arguments, run without a shell where app.command runs; ${name} inserts a "
        "value that an earlier hook extracted, or an {env: NAME} variable of the load; ${db.host} and "
        "${db.port} insert the address of the service db. LOADPROOF_URL in its environment is the URL that "
        "the load goes to.",
        examples=[["./seed.sh"]],
    )
    part: Text | None = Field(
        None,
        alias="in",
        description="Part of the system to run it inside, such as app or a service; this host when absent.",
        examples=["app"],
    )
    env: dict[EnvName, AsWritten] = Field(
        default_factory=dict, max_length=200, description="Further environment variables of the program."
    )
    request: Annotated[HookRequest, WhenUsed()] | None = Field(
        None,
        description="HTTP request to the address that the load goes to.",
        examples=[{"method": "POST", "path": "/orgs", "json": {"name": "acme"}}],
    )
    extract: dict[VariableName, Annotated[Extraction, WhenUsed()]] = Field(
        default_factory=dict,
        max_length=50,
        description="Names of values in the response; later hooks and the load insert them with ${name}.",
        examples=[{"org": {"json": "$.id"}}],
    )
    within: Annotated[Seconds, Time(max_s=HOUR)] = Field(
        60.0, description="Time limit; a command is ended then with everything that it started."
    )

    def unused_keys(self) -> frozenset[str]:
        """Return the keys of the form that it does not have."""
        return frozenset({"env", "in"} if self.run is None else {"extract"})

    @property
    def title(self) -> str:
        """What it does, in one short line: ``psql -c 'TRUNCATE orders' in db`` or ``POST /orgs``."""
        return self.titled(lambda text: text)

    def titled(self, masked: Callable[[str], str]) -> str:
        """Return the title without secrets, which are masked before it is cut."""
        words = f"{self.request.method} {self.request.path}" if self.request else shlex.join(self.run or ())
        line = harmless(" ".join(masked(words).split()))
        shown = line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
        return f"{shown} in {self.part}" if self.part else shown

    @model_serializer(mode="wrap")
    def _in_one_form(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        unused = {*self.unused_keys(), *(key for key, value in content.items() if value is None)}
        return {key: value for key, value in content.items() if key not in unused}

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        neither = self.run is None and self.request is None
        both = self.run is not None and self.request is not None
        refuse(
            conflict_if(neither, (), "should have run or request", "such as run: [./seed.sh]"),
            conflict_if(both, ("request",), "cannot be combined with run: a hook does one thing"),
            conflict_if(self.run and not self.run[0], ("run", 0), "the program name is empty"),
            conflict_if(self.part is not None and not self.run, ("in",), "requires run"),
            conflict_if(self.env and not self.run, ("env",), "requires run"),
            conflict_if(self.extract and not self.request, ("extract",), "requires request"),
            *self._impossible(),
        )
        return self

    def _impossible(self) -> Iterator[Conflict]:
        """Yield what the response to its request cannot have."""
        if self.request is None:
            return
        for conflict in self.request.expect.conflicts_with(self.request.method):
            yield Conflict(("request", "expect", *conflict.at), conflict.message)
        for name, extraction in self.extract.items():
            if self.request.method == "HEAD" and extraction.header is None:
                yield Conflict(("extract", name), "a response to HEAD has no body")


class Hooks(SpecModel):
    """Commands and requests around the load."""

    setup: tuple[Annotated[Hook, WhenUsed()], ...] = Field(
        (),
        max_length=MAX_HOOKS,
        description="Run in order when the stack is up, before any request; each new stack runs them again.",
        examples=[[{"run": ["./seed.sh"]}]],
    )
    before_trial: tuple[Annotated[Hook, WhenUsed()], ...] = Field(
        (),
        max_length=MAX_HOOKS,
        description="Run in order before each stage, outside every measured window.",
        examples=[[{"run": ["psql", "-c", "TRUNCATE orders"], "in": "db"}]],
    )
    teardown: tuple[Annotated[Hook, WhenUsed()], ...] = Field(
        (),
        max_length=MAX_HOOKS,
        description="Run in order before the stack is removed, also after a failure or a signal, which gives "
        "them 60 s in all; a second signal ends them. A failing one is shown, and the next one runs.",
        examples=[[{"request": {"method": "DELETE", "path": "/orgs/${org}"}}]],
    )

    def unused_keys(self) -> frozenset[str]:
        """Return the phases without hooks."""
        return frozenset(phase for phase in Phase if not self.of(phase))

    def of(self, phase: Phase) -> tuple[Hook, ...]:
        """Return the hooks of a phase."""
        hooks: tuple[Hook, ...] = getattr(self, phase)
        return hooks

    @model_serializer(mode="wrap")
    def _without_empty_phases(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        return {key: value for key, value in content.items() if key not in self.unused_keys()}


class PlacedHook(NamedTuple):
    """A hook and where it stands.

    Attributes:
        phase: When it runs.
        number: Its place in the phase, from 1.
    """

    phase: Phase
    number: int
    hook: Hook

    @property
    def path(self) -> str:
        """Where it stands in the specification: ``hooks.setup[0]``."""
        return f"hooks.{self.phase}[{self.number - 1}]"


def placed(hooks: Hooks | None, *phases: Phase) -> Iterator[PlacedHook]:
    """Yield the hooks of some phases, all if none is given, in the order in which they run first."""
    for phase in phases or Phase if hooks else ():
        for number, hook in enumerate(hooks.of(phase) if hooks else (), start=1):
            yield PlacedHook(phase, number, hook)


def requests_of(hooks: Hooks | None) -> Iterator[Request]:
    """Yield the requests of hooks."""
    yield from (hook.request for _, _, hook in placed(hooks) if hook.request is not None)


def describe(hooks: Hooks | None, folder: str, url: str) -> Iterator[str]:
    """Yield what hooks start and send, complete, as lines.

    Args:
        hooks: Of a configuration.
        folder: Where commands on this host start.
        url: Where requests go.
    """
    for phase, _, hook in placed(hooks):
        if hook.request is not None:
            yield f"{phase}: sends {hook.title} to {url}"
            continue
        place = f"inside {hook.part}" if hook.part else f"in the folder {folder}"
        yield f"{phase}: runs `{shlex.join(hook.run or ())}` {place}"
        if not hook.part:
            yield "  with all variables of your environment"
        yield from (f"  with {name}={shlex.quote(value)}" for name, value in hook.env.items())
