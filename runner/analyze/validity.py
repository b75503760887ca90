"""Whether the measurements of a stage are credible; judged before the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.analyze.failure import failure
from runner.analyze.kernel_counters import stolen_cores
from runner.analyze.machines import Machine, machines
from runner.analyze.node_validity import by_machine, full_generators
from runner.analyze.programs import disturbance, strangers
from runner.analyze.reason import Reason, judged
from runner.analyze.resource_usage import LATE_S, observer_lateness
from runner.analyze.shared_machines import whole_machines
from runner.analyze.silence import silence
from runner.analyze.unaccounted import unaccounted
from runner.core import histogram
from runner.core.codes import DoubtCode, Role, Validity
from runner.core.facts import TrialFacts
from runner.core.judgements import StageValidity
from runner.core.load_facts import LoadFacts
from runner.core.observed_facts import Sample
from runner.core.stage_results import Stage
from runner.core.units import Seconds, percent

GENERATOR_SATURATED: Final = 0.8
"""Share of its cores from which a generator distorts what it measures (k6 docs, "Running large tests")."""

LATENESS_SHARE: Final = 0.05
"""Share of the p95 response time that the generator's own lateness may explain."""

LATENESS_FLOOR_MS: Final = 0.5
"""Lateness below this is the kernel's time to wake a process, as in every client; it is accepted."""

OBSERVER_LATE_SHARE: Final = 0.05
"""Share of the window that samples at its ends may be late: averages are wrong by up to that share."""

OBSERVER_LATE_S: Final = 1.0
"""Seconds that no sample may be late, however long the window is."""

CPU_SUM_SLACK: Final = 0.03
"""Share by which the CPU of all roles may exceed the host's before the counters are doubtful."""

OTHERS_SHOWN: Final = 0.5
"""Cores used by other programs from which that may be why the generator was late; our own bound."""

STOLEN_SHOWN: Final = 0.01
"""Cores taken by the hypervisor from which that explains contradictory counters."""

NOT_RUN: Final = judged(Validity.INVALID, [Reason(DoubtCode.NOT_RUN, "the stage was not run")])
_NO_PART: Final = frozenset({Role.SYSTEM, Role.OTHER})


def validity(facts: TrialFacts, stage: Stage, *, when_full: str, cores: int | None) -> StageValidity:
    """Return whether a stage's measurements are credible.

    Args:
        facts: What happened.
        stage: What was measured.
        when_full: What happens to requests if no slot is free.
        cores: Of this host; None where unknown.
    """
    invalid = [*_failed(facts, stage), *unaccounted(facts.load, stage)]
    if invalid:
        return judged(Validity.INVALID, invalid)
    seen = machines(stage, cores)
    suspect = [*by_machine(seen, lambda it: _saturated(facts.load, it)), *full_generators(seen)]
    suspect += _late(facts.load, stage, when_full)
    suspect += [*_observer_late(facts), *by_machine(seen, _cpu_sum), *_silent(stage), *_out_of_step(stage)]
    if facts.status == "aborted":
        suspect.append(
            Reason(DoubtCode.ABORTED, "the stage was aborted, so it covers less time than planned")
        )
    suspect += _disturbed(whole_machines(seen, facts.topology))
    return judged(Validity.SUSPECT if suspect else Validity.VALID, suspect)


def _disturbed(seen: Sequence[Machine]) -> list[Reason]:
    """Return that programs outside the experiment used the processors, of all machines in one sentence."""
    busy = [(it, why) for it in seen if (why := disturbance(it.stage, it.cores, it.name))]
    about = (name for it, _ in busy for name in (it.name, *(other.name for other in strangers(it.stage))))
    return [Reason(DoubtCode.DISTURBED, "; ".join(why for _, why in busy), tuple(about))] if busy else []


def _failed(facts: TrialFacts, stage: Stage) -> list[Reason]:
    if facts.status != "failed":
        return []
    first, *others = [event.message for event in facts.events] or [""]
    return [
        Reason(DoubtCode.SYSTEM_FAILED, failure(stage), (first,)),
        *(Reason(DoubtCode.SYSTEM_FAILED, message, (message,)) for message in others),
    ]


def _saturated(load: LoadFacts | None, stage: Stage) -> list[Reason]:
    usage = stage.cpu_cores.get(Role.GENERATOR)
    if load is None or usage is None or not stage.workers or load.engine != "builtin":
        return []
    # of a ramp, the average says little about its highest rate
    used = usage.avg if stage.level_ramp is None or usage.peak is None else usage.peak
    share = used / stage.workers
    if share < GENERATOR_SATURATED:
        return []
    cores = f"{stage.workers} core{'s'[: stage.workers != 1]}"
    bound = f"from {percent(GENERATOR_SATURATED)} it may be the limit itself"
    text = f"the generator used {percent(share)} of its {cores}; {bound}"
    return [Reason(DoubtCode.GENERATOR_SATURATED, text)]


def _observer_late(facts: TrialFacts) -> list[Reason]:
    """Return a problem if the counters were read late, so that CPU averages may be of the wrong time."""
    if facts.observed is None:
        return []
    lost = {node.node for node in (facts.load.nodes if facts.load else ()) if node.lost}
    observers = {"the observer": ("the runner", facts.observed.samples)} | {
        f"the observer on {name}": ("it", observed.samples)
        for name, observed in facts.observed.nodes.items()
        if name not in lost
    }
    texts = {name: _late_samples(name, *it, facts.window_s) for name, it in observers.items()}
    return [Reason(DoubtCode.OBSERVER_LATE, text, (name,)) for name, text in texts.items() if text]


def _late_samples(observer: str, who: str, samples: Sequence[Sample], window_s: Seconds) -> str:
    """Return that samples were taken late; empty if they were not."""
    at_ends_s, between_s = observer_lateness(samples, window_s)
    share_s = max(LATE_S, OBSERVER_LATE_SHARE * window_s)
    if at_ends_s <= min(OBSERVER_LATE_S, share_s) and between_s <= OBSERVER_LATE_S:
        return ""
    late = f"{observer} was {max(at_ends_s, between_s):.1f} s late in a window of {window_s:g} s"
    cause = f"because {who} stood still or had no processor"
    return f"{late}, {cause}: the figures of CPU and counters are doubtful"


def _silent(stage: Stage) -> list[Reason]:
    """Return a problem if counts and latencies hide seconds in which users hardly sent anything."""
    silent = silence(stage)
    text = f"{silent}: errors and latencies count only the few requests that were sent then"
    return [Reason(DoubtCode.SILENT, text)] if silent else []


def _out_of_step(stage: Stage) -> list[Reason]:
    """Return a problem if the server sent bytes that no request had asked for, such as a second response.

    Those that arrive behind the next request cannot be told from its own response, so few may mean many.
    """
    counts = stage.connections
    if counts is None or not counts.unasked:
        return []
    times = "once" if counts.unasked == 1 else f"{counts.unasked:,} times"
    text = (
        f"the server sent bytes that no request had asked for, such as a second response ({times}; each "
        "connection was closed): response times may be those of other requests"
    )
    return [Reason(DoubtCode.OUT_OF_STEP, text)]


def _cpu_sum(stage: Stage) -> list[Reason]:
    """Return a problem if all roles together used more CPU than the whole host."""
    system = stage.cpu_cores.get(Role.SYSTEM)
    known = sum(usage.avg for role, usage in stage.cpu_cores.items() if usage and role not in _NO_PART)
    if system is None or known <= system.avg * (1 + CPU_SUM_SLACK) + 0.01:
        return []
    reason = (
        f"all roles used {known:.2f} cores, but the host only {system.avg:.2f}: the CPU figures are doubtful"
    )
    stolen = stolen_cores(stage)
    if stolen >= STOLEN_SHOWN:
        reason += (
            f" (the hypervisor took {stolen:.2f} cores, which the counters of processes may include, "
            "unlike the host's)"
        )
    return [Reason(DoubtCode.CPU_CONTRADICTS, reason, ("hypervisor",) if stolen >= STOLEN_SHOWN else ())]


def _late(load: LoadFacts | None, stage: Stage, when_full: str) -> list[Reason]:
    """Return a problem if the generator sent late; a wait for a slot is due to the system under test."""
    response, percentile = _usual_response_ms(stage)
    delay = stage.dispatch_delay_ms.p95
    if load is None or not response or delay is None:
        return []
    own = histogram.merge(second.lateness for second in load.seconds)
    if own.counts:
        delay, waited = own.percentile_ms(95) or 0.0, False
    else:  # a journal from before lateness was recorded
        waited = when_full == "queue" and response > 2 * delay
    if waited or delay < LATENESS_FLOOR_MS or delay <= LATENESS_SHARE * response:
        return []
    share = f"{percent(delay / response)} of the {percentile} response time of {response:.2f} ms"
    text = f"the generator was {delay:.2f} ms late at p95, which is {share}"
    beside = _beside(stage)
    about = (percentile, *([Role.OTHER] if beside else []))
    return [Reason(DoubtCode.GENERATOR_LATE, f"{text}{beside}", about)]


def _usual_response_ms(stage: Stage) -> tuple[float | None, str]:
    """Return the response time that lateness is compared with, and which one it is.

    Where more than 5 % have no response there is no p95; the mean of those that came is smaller.
    """
    times = stage.response_time_ms
    return (times.mean, "mean") if times.p95 is None else (times.p95, "p95")


def _beside(stage: Stage) -> str:
    """Return how much CPU other programs used meanwhile, where it is not known which; empty if little."""
    other = None if stage.programs else stage.cpu_cores.get(Role.OTHER)
    if other is None or other.avg < OTHERS_SHOWN or stage.cpu_cores.get(Role.APP) is None:
        return ""
    system = stage.cpu_cores.get(Role.SYSTEM)
    of_host = f" of the {system.avg:.2f} cores that the host used" if system else " cores"
    return f"; other programs used {other.avg:.2f}{of_host}"
