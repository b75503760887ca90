"""The words of results that logic depends on: limits, causes, answers and states.

Sentences are made from these codes where they are shown, and never parsed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias


class Limit(StrEnum):
    """What limits a stage: the code of a finding and of a verdict."""

    WITHIN_CAPACITY = "within-capacity"
    GENERATOR = "generator-limited"
    HOST_CPU = "host-cpu-limited"
    APP_CPU = "app-cpu-limited"
    APP_QUOTA = "app-quota-throttled"
    PROXY_CPU = "proxy-cpu-limited"
    FORWARDER = "forwarder-limited"
    CONNECTION = "connection-limited"
    APP_CONCURRENCY = "app-concurrency-limited"
    ERROR = "error-limited"
    MEMORY = "memory-limited"
    SERVICE = "service-limited"
    POOL = "pool-limited"
    IO = "io-limited"
    UNDETERMINED = "undetermined"


class Role(StrEnum):
    """Whose resources a subject uses, of the parts that every system has; a service has its own name."""

    APP = "app"
    PROXY = "proxy"
    FORWARDER = "forwarder"
    GENERATOR = "generator"
    RUNNER = "runner"
    DAEMON = "daemon"
    OTHER = "other"
    SYSTEM = "system"


RoleName: TypeAlias = str
"""A value of `Role`, or the name of a service; names of services never equal a role."""


def is_service(role: RoleName) -> bool:
    """Return whether a role is the name of a service: a database, a cache, an upstream."""
    return role not in _ROLES


_ROLES: Final = frozenset(Role)


class Unbounded(StrEnum):
    """Why a statistic has no finite value."""

    LOST = "lost"
    """It lies among requests that failed or were never sent."""
    OUT_OF_RANGE = "out-of-range"
    """It is longer than a histogram resolves: 1 h, or 60 s in runs of Loadproof 0.1.0."""


class Confidence(StrEnum):
    """How sure a finding is, the surest first."""

    PROVEN = "proven"
    LIKELY = "likely"
    HINT = "hint"


class Cause(StrEnum):
    """What a counter-experiment takes away or adds to: the cause of a limit if that lifts it."""

    CONNECTION_SETUP = "connection set-up"
    UPSTREAM_CONNECTION_SETUP = "connection set-up between proxy and app"
    DOCKER_PROXY = "docker-proxy"
    BRIDGE_NETWORK = "the bridge network"
    PROXY = "the proxy"
    PROXY_CONNECTIONS = "nginx's room"
    PROXY_WORKERS = "the number of the proxy's workers"
    APP = "the app"
    CPU_LIMIT = "the CPU limit"
    MEMORY_LIMIT = "the memory limit"
    ACCEPT_QUEUE = "the accept queue"
    APP_WORKERS = "the number of the app's workers"
    GENERATOR = "the generator"
    POOL = "the size of the connection pool"
    SERVICE_CPU = "the service's CPU limit"
    SERVICE_MEMORY = "the service's memory limit"


class Validity(StrEnum):
    """Whether a stage's numbers may be believed."""

    VALID = "valid"
    SUSPECT = "suspect"
    INVALID = "invalid"


class DoubtCode(StrEnum):
    """Why a stage may not be believed, or is not compared."""

    NOT_RUN = "not-run"
    SYSTEM_FAILED = "system-failed"
    GENERATOR_LOST = "generator-lost"
    WORKER_LOST = "worker-lost"
    SENT_TOO_LATE = "sent-too-late"
    NO_FILE_DESCRIPTOR = "no-file-descriptor"
    NOT_AS_PLANNED = "not-as-planned"
    COUNTS_CONTRADICT = "counts-contradict"
    GENERATOR_SATURATED = "generator-saturated"
    GENERATOR_WITHOUT_CPU = "generator-without-cpu"
    GENERATOR_LATE = "generator-late"
    OBSERVER_LATE = "observer-late"
    CPU_CONTRADICTS = "cpu-contradicts"
    SILENT = "silent"
    OUT_OF_STEP = "out-of-step"
    ABORTED = "aborted"
    DISTURBED = "disturbed"
    STAGES_DIFFER = "stages-differ"


class StageStatus(StrEnum):
    """How a stage ended."""

    COMPLETE = "complete"
    FAILED = "failed"
    ABORTED = "aborted"
    NOT_RUN = "not-run"


class ProofAnswer(StrEnum):
    """What a counter-experiment says about a verdict.

    `NO_EFFECT`: the change did not lift the limit, but need not have lifted it.
    """

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    NO_EFFECT = "no effect"
    INCONCLUSIVE = "inconclusive"


class HypothesisAnswer(StrEnum):
    """What a configuration's stages say about the limit that was expected."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    OPEN = "open"


class RateUnit(StrEnum):
    """What a search counts per second: requests, or users who start a scenario."""

    REQUESTS = "RPS"
    USERS = "users/s"


class SearchEnding(StrEnum):
    """How a search for the capacity ended.

    `FOUND`: a rate that passed and one that failed are close enough. `BOUNDED`: the allowed probes were
    used up first. `NEVER` and `ALWAYS`: no rate passed, or every rate passed. `MASKED`: as `FOUND` or
    `BOUNDED`, but the lowest rate that failed says nothing about the service. `STOPPED`: a probe could not be
    judged. `OPEN`: the run ended first.
    """

    FOUND = "found"
    BOUNDED = "bounded"
    NEVER = "never"
    ALWAYS = "always"
    MASKED = "masked"
    STOPPED = "stopped"
    OPEN = "open"


class Mask(StrEnum):
    """Why a probe that failed does not show that the service cannot sustain its rate.

    `GENERATOR`: the generator did not or could not offer the rate as planned. `PORTS`: its machine had no
    local port left. `PROGRAMS`: programs outside the experiment took the CPU. `INVALID`: it is invalid for
    another reason than a failure of the system.
    """

    GENERATOR = "generator"
    PORTS = "ports"
    PROGRAMS = "programs"
    INVALID = "invalid"


class ComparisonVerdict(StrEnum):
    """How a metric, a stage or a comparison came out against another one."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    NOT_SHOWN = "no difference shown"


class ReproductionVerdict(StrEnum):
    """Whether a run that was run again came out the same."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    UNKNOWN = "cannot be told"


class Basis(StrEnum):
    """Where a comparison takes the noise between runs from."""

    REPEATS = "repeats"
    REPEATS_OF_ONE_SIDE = "repeats of one side"
    ASSUMED_NOISE = "assumed noise"


_CPU_OF: Final = {
    Limit.HOST_CPU: "the host's CPU",
    Limit.APP_CPU: "the app's CPU",
    Limit.PROXY_CPU: "the proxy's CPU",
}
_CONNECTION_SETUP: Final = frozenset({Cause.CONNECTION_SETUP, Cause.UPSTREAM_CONNECTION_SETUP})


def cpu_used_up(limit: Limit, cause: Cause) -> str:
    """Return whose CPU a confirmed cause uses up; empty where the cause is the limit itself."""
    if limit is Limit.HOST_CPU or cause in _CONNECTION_SETUP:
        return _CPU_OF.get(limit, "")
    return ""
