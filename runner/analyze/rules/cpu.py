"""Limits of CPU: a quota, one full thread, a full proxy, a forwarder, the whole host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runner.analyze.kernel_counters import counters, is_here, stolen_cores
from runner.analyze.rules.garbage_collection import collecting
from runner.analyze.rules.types import Evidence, Finding, Judgement, RuledOut, Stage
from runner.core.units import percent

ONE_CORE: Final = 0.85
"""Of one core on average: from here on a thread had no pause worth the name; our own bound."""
OWN_SHARE: Final = 0.8
"""Of the time that a thread wanted a processor, the part it had one: from here on more processors would not
help it much, and its being one thread is what limits it. Our own bound."""
THROTTLED: Final = 0.25
HOST_FULL: Final = 0.95
"""Host CPU above which there is none left to give (netdata's critical alarm)."""
NEARLY_FULL: Final = 0.85
"""The same for a chain of processes: each hand-over leaves a core idle for a moment. Our own bound: a
generator, docker-proxy and a service that all had work were seen to leave 12 % of two cores idle."""
_A_CORE: Final = "a thread cannot use more than one core"


def throttled(stage: Stage, cores: int | None) -> Judgement:
    """A container that used its CPU quota up has to wait, however idle the host is."""
    del cores
    found = {
        name: each["throttled"] / each["periods"]
        for name, each in stage["throttling_by_subject"].items()
        if each["periods"]
    }
    if not found:
        watched = stage["cpu_cores"].get("app") is not None
        return RuledOut("app-quota-throttled", "no CPU limit was in force") if watched else None
    worst = max(found.values())
    if worst <= THROTTLED:
        return RuledOut("app-quota-throttled", f"the CPU limit stopped it in {percent(worst)} of the periods")
    evidence = tuple(
        Evidence(
            f"{name}, periods throttled",
            share * 100,
            "%",
            THROTTLED * 100,
            "kubernetes-mixin, CPUThrottlingHigh",
        )
        for name, share in sorted(found.items())
    )
    return Finding(
        "app-quota-throttled",
        "likely",
        f"its CPU limit stopped the app in {percent(worst)} of the periods in which it wanted to run",
        evidence,
        "raise topology.app.cpus, or add a replica",
    )


def app(stage: Stage, cores: int | None) -> Judgement:
    """One full core of one thread: an event loop or an interpreter lock has no second one."""
    hottest = _hottest(stage, "app")
    if hottest is None:
        return _app_by_role(stage, cores)
    if not hottest.is_full:
        return _all_it_may_have(stage, cores) or RuledOut(
            "app-cpu-limited", f"the app's busiest thread used {hottest.used:.2f} of a core"
        )
    return Finding(
        "app-cpu-limited",
        "likely",
        f"a thread of {hottest.told(_rest(stage, cores))}",
        (
            *hottest.evidence("thread"),
            *_app_cpu(stage),
            *collecting(stage),
        ),
        "add a replica or a worker process, or make a request cost less CPU",
    )


def _all_it_may_have(stage: Stage, cores: int | None) -> Finding | None:
    """An app that is bound to some of the processors and has filled them, whatever a thread of it used."""
    used = _avg(stage, "app")
    every = counters(stage, "threads.allowed_cpus")
    most = max((each["after"] for each in every if _role(stage, each) == "app"), default=0)
    if used is None or not cores or not 0 < most < cores or used < ONE_CORE * most:
        return None
    return Finding(
        "app-cpu-limited",
        "likely",
        f"the app used {used:.2f} cores{_rest(stage, cores)}, and it may run on {most:.0f} of them",
        (Evidence("app CPU", used, "cores", ONE_CORE * most, "our bound, of the processors it may use"),),
        "let it run on more processors (topology.cpus), or make a request cost less CPU",
    )


def _app_by_role(stage: Stage, cores: int | None) -> Judgement:
    """Without its threads, the role of a single app tells the same when it stands at one core."""
    usage = stage["cpu_cores"].get("app")
    if usage is None or stage.get("replicas", 1) != 1:
        return None
    if not ONE_CORE <= usage["avg"] <= 1.1:
        return RuledOut("app-cpu-limited", f"the app used {usage['avg']:.2f} cores")
    return Finding(
        "app-cpu-limited",
        "likely",
        f"the app used {usage['avg']:.2f} cores{_rest(stage, cores)}: one core is the most that one busy "
        "thread can use",
        (Evidence("app CPU", usage["avg"], "cores", ONE_CORE, "one core of one thread"),),
        "add a replica or a worker process, or make a request cost less CPU",
    )


def _app_cpu(stage: Stage) -> tuple[Evidence, ...]:
    usage = stage["cpu_cores"].get("app")
    return (Evidence("app CPU", usage["avg"], "cores"),) if usage else ()


def _rest(stage: Stage, cores: int | None) -> str:
    room = stage["cpu_cores"].get("system")
    return f" while the host used {room['avg']:.2f} of {cores}" if room and cores else ""


def proxy(stage: Stage, cores: int | None) -> Judgement:
    """An nginx worker is one thread."""
    hottest = _hottest(stage, "proxy")
    if hottest is None:
        return None
    if not hottest.is_full:
        return RuledOut("proxy-cpu-limited", f"nginx's busiest worker used {hottest.used:.2f} of a core")
    return Finding(
        "proxy-cpu-limited",
        "likely",
        f"a worker of {hottest.told(_rest(stage, cores))}",
        tuple(hottest.evidence("worker")),
        "give nginx more workers, keep its upstream connections, or leave it out",
    )


def forwarder(stage: Stage, cores: int | None) -> Judgement:
    """On a host with next to nothing left, docker-proxy taking more than all it forwards to."""
    used = _avg(stage, "forwarder")
    if used is None:
        return None
    served = (_avg(stage, "app") or 0.0) + (_avg(stage, "proxy") or 0.0)
    if not _host_is_full(stage, cores, NEARLY_FULL) or used <= served:
        return RuledOut(
            "forwarder-limited", f"docker-proxy used {used:.2f} cores, what is behind it {served:.2f}"
        )
    return Finding(
        "forwarder-limited",
        "likely",
        f"docker-proxy used {used:.2f} cores of a busy host, more than all the services behind it together "
        f"({served:.2f})",
        (Evidence("docker-proxy CPU", used, "cores"), Evidence("app and proxy CPU", served, "cores")),
        "reach the container at its own address (publish: container) or on the host's network",
    )


def host(stage: Stage, cores: int | None) -> Judgement:
    """No core is left to give."""
    usage = stage["cpu_cores"].get("system")
    if not cores or usage is None:
        return None
    if not _host_is_full(stage, cores):
        if not is_here(stage):
            return None
        return _kept_waiting(stage, cores) or RuledOut(
            "host-cpu-limited", f"the host used {usage['avg']:.2f} of its {cores} cores"
        )
    greatest, used = _greatest(stage)
    return Finding(
        "host-cpu-limited",
        "likely",
        f"the host used {usage['avg']:.2f} of its {cores} cores, so nothing on it could go faster; "
        f"the largest part went to {greatest}, {used:.2f} cores",
        (
            Evidence("host CPU", usage["avg"], "cores", HOST_FULL * cores, "netdata: 95 % is critical"),
            Evidence(f"CPU of {greatest}", used, "cores"),
        ),
        _host_advice(greatest),
    )


def _kept_waiting(stage: Stage, cores: int) -> Finding | None:
    """A thread that always wanted a processor and did not get one: others had those it may run on.

    A quota makes threads wait as well, and the processors that the app itself fills are its own limit.
    """
    stopped = any(each["throttled"] for each in stage["throttling_by_subject"].values())
    waiting = [*_threads(stage, "app"), *_threads(stage, "proxy")]
    if stopped or not waiting or _all_it_may_have(stage, cores):
        return None
    most = max(waiting, key=lambda each: each.wanted)
    if most.wanted < ONE_CORE or most.is_full:
        return None
    return Finding(
        "host-cpu-limited",
        "likely",
        f"a thread of {most.name} was ready to run {percent(most.wanted)} of the time, but none of its "
        f"threads had a processor for more than {percent(most.used)} of it{_rest(stage, cores)}: other "
        "programs had the processors that it may run on",
        (most.evidence_of_wanting(), Evidence(f"busiest thread of {most.name}", most.used, "cores")),
        _host_advice("other programs"),
    )


def _host_advice(greatest: str) -> str:
    if greatest == "generator":
        return "run the generator on another machine"
    if greatest == "other programs":
        return "end what else runs on this host, or give the stack processors of its own (topology.cpus)"
    return "make a request cost less CPU (the ledger shows whose), or give the host more cores"


def _greatest(stage: Stage) -> tuple[str, float]:
    cores = {role: usage["avg"] for role, usage in stage["cpu_cores"].items() if usage and role != "system"}
    role = max(cores, key=lambda each: float(cores[each]), default="other")
    names = {"app": "the app", "proxy": "nginx", "forwarder": "docker-proxy", "other": "other programs"}
    return names.get(role, role), float(cores.get(role, 0.0))


def _host_is_full(stage: Stage, cores: int | None, bound: float = HOST_FULL) -> bool:
    """What a hypervisor stole was wanted too, and could not be had."""
    usage: Any = stage["cpu_cores"].get("system")
    return bool(cores and usage and usage["avg"] + stolen_cores(stage) >= bound * cores)


@dataclass(frozen=True, slots=True)
class _Thread:
    """The busiest thread of a subject over the whole window, as shares of one core."""

    name: str
    used: float
    wanted: float
    """Ran or waited for a processor."""

    @property
    def is_full(self) -> bool:
        """No pause worth the name, and hardly any of it was waiting for others to leave the processor."""
        return self.used >= ONE_CORE or (self.wanted >= ONE_CORE and self.used >= OWN_SHARE * self.wanted)

    def told(self, rest: str) -> str:
        """What it did, what the host had left, and why that is all."""
        waited = "" if self.used >= ONE_CORE else f" and waited {self.wanted - self.used:.2f} for one"
        return f"{self.name} used {self.used:.2f} of a core{waited}{rest}: one core is the most it can use"

    def evidence(self, noun: str) -> Iterator[Evidence]:
        """What it used; and what it wanted, where it takes that to see that it was full."""
        yield Evidence(f"busiest {noun} of {self.name}", self.used, "cores", ONE_CORE, _A_CORE)
        if self.used < ONE_CORE:
            yield self.evidence_of_wanting()

    def evidence_of_wanting(self) -> Evidence:
        """How much of the time it ran or waited for a processor."""
        name = f"{self.name}, a thread ran or waited to run"
        return Evidence(name, self.wanted * 100, "%", ONE_CORE * 100, _A_CORE)


def _hottest(stage: Stage, role: str) -> _Thread | None:
    """The busiest thread of a role: one that is full, or else the one that had a core longest."""
    return max(_threads(stage, role), key=lambda each: (each.is_full, each.used), default=None)


def _threads(stage: Stage, role: str) -> list[_Thread]:
    """The busiest thread of each subject of a role.

    Waiting for a quota is counted as waiting for a processor by some kernels, and is not that.
    """
    quota = {name for name, each in stage["throttling_by_subject"].items() if each["throttled"]}
    used = {each["scope"]: float(each["after"]) for each in counters(stage, "threads.hottest_cores")}
    wanted = {each["scope"]: float(each["after"]) for each in counters(stage, "threads.runnable_share")}
    roles = stage.get("cpu_cores_by_subject", {})
    return [
        _Thread(name, share, max(share, 0.0 if name in quota else wanted.get(name, 0.0)))
        for name, share in used.items()
        if name in roles and roles[name]["role"] == role
    ]


def _role(stage: Stage, counter: Mapping[str, Any]) -> str | None:
    """Whose counter it is."""
    found = stage.get("cpu_cores_by_subject", {}).get(counter["scope"])
    return str(found["role"]) if found else None


def _avg(stage: Stage, role: str) -> float | None:
    usage = stage["cpu_cores"].get(role)
    return float(usage["avg"]) if usage else None
