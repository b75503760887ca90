"""One user of a scenario: where it is, and what belongs to it alone."""

from __future__ import annotations

from runner.core.units import Nanoseconds
from runner.load.connection import Connection
from runner.load.cookies import CookieJar
from runner.load.origins import Origin, Place
from runner.load.scenario_part import StepPart
from runner.load.scenario_program import Operation
from runner.load.walk import Walk

NO_SLOT = -1
"""In place of a slot, in the open model."""


class ScenarioUser(Walk):
    """A run of a scenario, which is a user of its own.

    Attributes:
        key: Number of the user in the stage.
        scenario: Index of its scenario.
        slot: In the closed model, which of the users at a time it is.
        operations: Of its scenario.
        jar: Its cookies.
        connections: Its open connections that no request is on.
        connection: The one with its request; None while it waits for something else.
        measured: Whether its run was due in the measured window.
        due: When the run was due.
        ready: When its current step became ready.
        part: The request that it sent last.
        content: The bytes of that request, without cookies.
        place: Where that went.
        redirect: Where it goes next instead of its next step.
        hops: How many redirects it may still follow in this step.
        done: When its last request ended.
        status: Status of the last response.
        failure: Why that failed; empty if it did not.
        responded: Whether the failure is a response.
        reason: The same as a sentence, where there is more to say than the kind of failure.
        cut_off: Whether the stage ended before it did.
    """

    __slots__ = (
        "connection", "connections", "content", "cut_off", "done", "due", "failure", "hops", "jar", "key",
        "measured", "operations", "part", "place", "ready", "reason", "redirect", "responded", "scenario",
        "slot", "status",
    )  # fmt: skip

    def __init__(
        self,
        key: int,
        number: int,
        scenario: int,
        operations: list[Operation],
        place: Place,
        due: Nanoseconds,
        *,
        measured: bool,
        slot: int,
    ) -> None:
        super().__init__(number)
        self.key, self.scenario, self.operations, self.slot = key, scenario, operations, slot
        self.jar = CookieJar()
        self.connections: dict[Origin, Connection] = {}
        self.connection: Connection | None = None
        self.measured = measured
        self.due = self.ready = self.done = due
        self.part: StepPart | None = None
        self.content = b""
        self.place = place
        self.redirect: Place | None = None
        self.hops = self.status = 0
        self.failure = self.reason = ""
        self.responded = self.cut_off = False
