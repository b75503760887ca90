"""Programs outside the experiment make a stage suspect; a search repeats a rate that failed beside them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from runner.analyze.programs import disturbance
from runner.analyze.results import upcoming
from runner.core.facts import TrialFacts
from runner.core.observed_facts import KERNEL_THREADS, Program
from runner.core.observed_results import ProgramUsage, Usage
from tests.analyze.facts import BUSY, HEALTHY, RUN, results_of, stages_of
from tests.analyze.searches import SPEC, answer, planned, search
from tests.analyze.stages import stage

_STRANGER = Program("stress", (7,), 1.7, 0.9)


def _beside(facts: TrialFacts, *programs: Program) -> TrialFacts:
    assert facts.observed
    return replace(facts, observed=replace(facts.observed, programs=programs))


def _sentence(cores: float, *, system: float = 1.0, of: int | None = 4, **changes: Any) -> str:
    program = ProgramUsage("stress", (7,), cores, **changes)
    return disturbance(stage(programs=(program,), cpu_cores={"system": Usage(system, None)}), of)


def test_from_a_tenth_of_the_cores_other_programs_disturb_and_are_named() -> None:
    assert _sentence(0.39) == ""
    assert _sentence(0.4) == (
        "programs outside the experiment (stress (pid 7) 0.40) used 0.40 of the 4 cores of this host; "
        "from 10 % they may change its results"
    )


def test_on_a_full_host_they_disturb_where_they_used_more_than_was_left() -> None:
    assert _sentence(0.2, system=3.7) == ""
    assert "only 0.10 cores were idle" in _sentence(0.2, system=3.9)
    assert _sentence(0.1, system=4.0) == "", "that changes no result"


def test_on_a_full_machine_what_has_no_name_is_told_with_its_figure() -> None:
    used = {"system": Usage(1.97, None), "other": Usage(1.95, None)}
    shell = ProgramUsage("sh", (1609,), 0.09)

    assert disturbance(stage(programs=(shell,), cpu_cores=used), 2, "node-2") == (
        "node-2 had no CPU left: of its 2 cores, programs outside the experiment (sh (pid 1609) 0.09) used "
        "0.09, and programs that no agent can see used 1.86"
    )
    assert disturbance(stage(cpu_cores=used), 2, "node-2") == (
        "node-2 had no CPU left: of its 2 cores, programs that no agent can see used 1.95"
    )
    assert disturbance(stage(cpu_cores=used | {"system": Usage(1.5, None)}), 2, "node-2") == ""
    assert disturbance(stage(cpu_cores=used | {"other": Usage(0.5, None)}), 2, "node-2") == "", "packets"
    assert disturbance(stage(cpu_cores=used), 2) == (
        "this host had no CPU left: of its 2 cores, programs that the runner could not see used 1.95"
    )


@pytest.mark.parametrize(
    "changes", [{"serves": True, "port": 6379}, {"name": KERNEL_THREADS}, {"of": None}], ids=str
)
def test_what_works_for_the_experiment_does_not_disturb_it(changes: dict[str, Any]) -> None:
    of = changes.pop("of", 4)
    program = ProgramUsage(**({"name": "x", "pids": (7,), "cores": 3.0} | changes))
    assert disturbance(stage(programs=(program,)), of) == ""


def test_a_disturbed_stage_is_suspect_and_says_so_to_programs() -> None:
    quiet, disturbed = stages_of(HEALTHY, _beside(BUSY, _STRANGER))[:2]
    assert (quiet.validity.status, quiet.validity.disturbed) == ("valid", False)
    assert (disturbed.validity.status, disturbed.validity.disturbed) == ("suspect", True)
    assert disturbed.programs == (ProgramUsage("stress", (7,), 1.7, 0.9),)


def _disturbed_search(capacity: float, *, disturbed: set[int], lost: float) -> list[TrialFacts]:
    """Return a search of which some trials, by order, ran beside a stranger, which took a share of it."""
    facts: dict[int, TrialFacts] = {}
    for each in planned():
        while (probe := upcoming(each, facts, RUN)) is not None:
            is_disturbed = probe.order in disturbed
            made = answer(probe, capacity * (1 - lost) if is_disturbed else capacity)
            facts[probe.order] = _beside(made, _STRANGER) if is_disturbed else made
    return list(facts.values())


def _capacity(facts: list[TrialFacts]) -> Any:
    (entry,) = results_of(*facts, spec=SPEC).configurations[0].capacity
    return entry


def test_a_rate_that_failed_beside_other_programs_is_tried_again_once() -> None:
    quiet = _capacity(search(1500))
    entry = _capacity(_disturbed_search(1500, disturbed={1}, lost=0.9))
    assert entry.rps == quiet.rps
    first, disturbed, again = entry.probes[:3]
    assert (first.ok, disturbed.ok, again.ok) == (True, None, True)
    assert disturbed.rps == again.rps
    assert "stress (pid 7)" in disturbed.why
    assert len(entry.probes) == len(quiet.probes) + 1


def test_a_rate_that_fails_again_has_failed() -> None:
    entry = _capacity(_disturbed_search(1500, disturbed={1, 2}, lost=0.9))
    assert [probe.ok for probe in entry.probes[:3]] == [True, None, False]
    assert entry.failed_rps == entry.probes[2].rps
    assert "response_time.p95" in entry.sentence


def test_a_rate_that_was_sustained_beside_other_programs_is_sustained() -> None:
    quiet, entry = search(1500), _disturbed_search(1500, disturbed=set(range(100)), lost=0.0)
    assert _capacity(entry).held_rps == _capacity(quiet).held_rps
    probes = _capacity(entry).probes
    assert [probe.rps for probe in probes if probe.ok] == [
        probe.rps for probe in _capacity(quiet).probes if probe.ok
    ]


def test_repeats_are_among_the_probes_that_a_search_may_run() -> None:
    spec = SPEC.replace(b"min_rps: 100,", b"min_rps: 100, probes: 3,")
    facts: dict[int, TrialFacts] = {}
    for each in planned(spec):
        while (probe := upcoming(each, facts, RUN)) is not None:
            facts[probe.order] = _beside(answer(probe, 1), _STRANGER)
    (entry,) = results_of(*facts.values(), spec=spec).configurations[0].capacity
    assert [probe.ok for probe in entry.probes] == [None, False, False]
    assert [probe.order for probe in entry.probes] == [0, 1, 2]


def test_the_experiments_thresholds_apply_to_the_probe_that_decides() -> None:
    facts = _disturbed_search(1500, disturbed={1}, lost=0.9)
    stages = results_of(*facts, spec=SPEC).configurations[0].stages
    probes = [one for one in stages if one.find]
    assert sum(bool(one.find and one.find.decides) for one in probes) == 2
    assert all(one.find and one.find.holds for one in probes if one.thresholds)
