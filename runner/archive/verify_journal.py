"""Compares a journal with the plan: what the specification determines must be what the journal says.

The analysis takes a stage's target rate, window and warm-up from the journal. These are checked here, as is
everything else that the journal repeats; what was measured is the source of all numbers and has no check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from runner.analyze.search_progress import replay
from runner.analyze.stage import stage_of
from runner.archive.tree_difference import Difference
from runner.core.facts import RunFacts, TrialFacts
from runner.core.stage_results import Stage
from runner.core.system_facts import SystemDescription
from runner.experiment.model import Configuration
from runner.experiment.trials import Trial
from runner.store.journal import encode_entry
from runner.store.reanalyze import Reanalysis
from runner.store.run_file import JOURNAL, RUN

_HISTOGRAM: Final = re.compile(rb'"hdr":"[A-Za-z0-9+/=]*"')
"""Its bytes depend on the version of zlib; the counts in it are compared as numbers."""
_NOT_FINISHED: Final = {"signal": None, "finished_at": None, "error": None}

_BEFORE_THE_END: Final = {"unfinished", "complete"}
"""Earlier versions wrote ``complete``."""


def journal_differences(journal: bytes, run: Reanalysis) -> Iterator[Difference]:
    """Yield what in a journal contradicts the specification, the run file or itself.

    Args:
        journal: Its content.
        run: The same run, analyzed again.
    """
    lines = journal.splitlines()
    if len(lines) != len(run.entries):
        yield Difference(
            f"{JOURNAL}: cut off", f"{JOURNAL}: line {len(lines)} is incomplete, and no trial is in it"
        )
    planned = {trial.order: trial for trial in _planned(run)}
    for number, (line, entry) in enumerate(zip(lines, run.entries, strict=False), start=1):
        where = f"{JOURNAL}, line {number}"
        yield from _unlike_run(where, entry.run, run.run_file.run)
        if trial := planned.get(entry.trial.order):
            yield from _unlike_plan(where, entry.trial, trial)
        else:
            yield Difference(
                f"{JOURNAL}: plan",
                f"{where}: the plan has no trial {entry.trial.order}, and nothing is computed from it",
            )
        if _without_histograms(line) != _without_histograms(encode_entry(entry)):
            yield Difference(
                f"{JOURNAL}: format", f"{where}: it has a field, an order or a format that no run writes"
            )


def superseded_lines(run: Reanalysis) -> tuple[int, ...]:
    """Return the numbers of the lines whose trial was run again later; nothing is computed from them."""
    latest = {entry.trial.order: number for number, entry in enumerate(run.entries, start=1)}
    kept = set(latest.values())
    return tuple(number for number in range(1, len(run.entries) + 1) if number not in kept)


def _without_histograms(line: bytes) -> bytes:
    return _HISTOGRAM.sub(b'"hdr":""', line)


def _planned(run: Reanalysis) -> list[Trial]:
    """Return the plan, with the probes of its searches in the place of the searches."""
    facts = {entry.trial.order: entry.trial for entry in run.entries}
    trials: list[Trial] = []
    for trial in run.planned:
        probes: list[Trial] = []

        def stage(probe: Trial, found: TrialFacts, probes: list[Trial] = probes) -> Stage:
            probes.append(probe)
            return stage_of(probe, found, run.run_file.run)

        progress = replay(trial, facts, stage)
        trials += [trial] if progress is None else probes
    return trials


def _unlike_plan(where: str, facts: TrialFacts, trial: Trial) -> Iterator[Difference]:
    """Yield the fields of a trial that the specification determines and that differ from it."""
    stage, load = trial.stage, trial.configuration.load
    expected: dict[str, tuple[object, object]] = {
        "configuration": (facts.configuration, trial.configuration.name),
        "stage": (facts.stage, stage.name),
        "repeat": (facts.repeat, trial.repeat),
        "target_rps": (facts.target_rps, stage.target_rps),
        "ramp": (facts.ramp, stage.ramp),
        "users": (facts.users, stage.user_level),
        "users_per_s": (facts.users_per_s, stage.user_rate_level),
        "warmup_s": (facts.warmup_s, stage.warmup),
        "window_s": (facts.window_s, stage.duration),
        "proves": (facts.proves, trial.counter_experiment_for),
        "change": (facts.change, trial.change),
        "block": (facts.block, trial.block),
    }
    if facts.load:
        expected["load.engine"] = (facts.load.engine, load.engine)
    if facts.topology:
        expected |= _of_system(facts.topology, trial.configuration)
    for name, (found, planned) in expected.items():
        if found != planned:
            yield Difference(
                f"{JOURNAL}: trial.{name}",
                f"{where}: trial.{name} is {found!r}, but the specification gives {planned!r}",
                explained=False,
            )


def _of_system(found: SystemDescription, configuration: Configuration) -> Mapping[str, tuple[object, object]]:
    """Return field to value and planned value; fields that this kind of system does not have are left out."""
    topology = configuration.topology
    fields: dict[str, tuple[object, object]] = {"topology.kind": (found.kind, topology.kind)}
    if found.replicas is not None:
        fields["topology.replicas"] = (found.replicas, topology.replicas)
    if (app := topology.app) and found.health is not None:
        fields["topology.health"] = (found.health, app.health)
    if (app := topology.app) and found.env_names is not None:
        fields["topology.env_names"] = (found.env_names, tuple(sorted({*app.env, *app.env_from})))
    return fields


def _unlike_run(where: str, found: RunFacts, run: RunFacts) -> Iterator[Difference]:
    """Yield the fields in which a line and the run file describe different runs.

    A run that was resumed has lines of its earlier parts, which may have other ids and commands.
    """
    expected: dict[str, tuple[object, object]] = {
        "started_at": (found.started_at, run.started_at),
        "overrides": (found.overrides, run.overrides),
        "resumed_at": (found.resumed_at, run.resumed_at[: len(found.resumed_at)]),
        "status": (found.status in _BEFORE_THE_END, True),
        **{name: (getattr(found, name), value) for name, value in _NOT_FINISHED.items()},
    }
    if found.resumed_at == run.resumed_at:
        expected |= {
            "run_id": (found.run_id, run.run_id),
            "command": (found.command, run.command),
            "environment": (found.environment, run.environment),
        }
    for name, (value, in_run_file) in expected.items():
        if value != in_run_file:
            yield Difference(
                f"{JOURNAL}: run.{name}", f"{where}: run.{name} is not that of {RUN}", explained=False
            )
