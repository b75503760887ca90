"""The results of a run, from the specification and the facts alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.capacity import capacity
from runner.analyze.counter_experiment import concluded, counter_experiment
from runner.analyze.cross_check import cross_checks
from runner.analyze.hooks import hook_summaries
from runner.analyze.hypothesis import hypothesis
from runner.analyze.medians import of_medians
from runner.analyze.repeats import repeats
from runner.analyze.scaling import scaling
from runner.analyze.search_progress import SearchProgress, probe_stages, replay
from runner.analyze.stage import stage_of
from runner.analyze.unproven import unproven
from runner.core.codes import Limit
from runner.core.definitions import DEFINITIONS
from runner.core.facts import RunFacts, TrialFacts, VariableFacts
from runner.core.load_results import (
    LoadSummary,
    RequestShare,
    RequestSummary,
    ScenarioSummary,
    SentVariable,
    StepSummary,
)
from runner.core.results import ConfigurationResults, ExperimentInfo, Results, RunInfo
from runner.core.stage_results import Stage
from runner.core.system_facts import SystemDescription
from runner.experiment.counter_experiments import change_named
from runner.experiment.model import Configuration, Experiment
from runner.experiment.traffic import Load
from runner.experiment.trials import Trial

SCHEMA_VERSION: Final = 1


def results(
    experiment: Experiment,
    *,
    spec_sha256: str,
    run: RunFacts,
    trials: Sequence[TrialFacts],
    planned: Sequence[Trial],
) -> Results:
    """Return the results of a run.

    Args:
        experiment: The specification.
        spec_sha256: Its digest.
        run: The run around the trials.
        trials: What happened, in any order.
        planned: The plan, in order; a trial without facts becomes a stage that was not run.
    """
    facts = {trial.order: trial for trial in trials}
    counters = [trial for trial in planned if trial.counter_experiment_for is not None]
    ordered = _in_order(experiment, [trial for trial in planned if trial.counter_experiment_for is None])
    configurations = {
        trial.configuration.name: trial.configuration for trial in ordered if not trial.cross_check
    }
    measured = tuple(
        _configuration([trial for trial in ordered if trial.configuration.name == name], counters, facts, run)
        for name in configurations
    )
    return Results(
        schema_version=SCHEMA_VERSION,
        definitions=DEFINITIONS,
        experiment=ExperimentInfo(experiment.name, experiment.title, experiment.objective, spec_sha256),
        run=_run(run),
        environment=dict(run.environment),
        configurations=measured,
        scaling=scaling(list(zip(configurations.values(), measured, strict=True))),
    )


def _in_order(experiment: Experiment, planned: Sequence[Trial]) -> list[Trial]:
    """Return trials in the specification's order, repeats together; they may have run in random order."""
    places = {configuration.name: place for place, configuration in enumerate(experiment.configurations)}

    def place(trial: Trial) -> tuple[int, int, int]:
        name = trial.find.name if trial.find else trial.stage.name
        stages = [stage.name for stage in trial.configuration.stages]
        return places[trial.configuration.name], stages.index(name), trial.order

    return sorted(planned, key=place)


def _run(run: RunFacts) -> RunInfo:
    return RunInfo(
        id=run.run_id,
        started_at=run.started_at,
        finished_at=run.finished_at,
        status="aborted" if run.status == "aborted" else "complete",
        signal=run.signal,
        error=run.error,
        command=run.command,
        overrides=run.overrides,
        resumed_at=run.resumed_at,
        files_outside=run.files_outside or UNSET,
        files_with_secrets=run.files_with_secrets or UNSET,
    )


def _configuration(
    trials: Sequence[Trial], counters: Sequence[Trial], facts: Mapping[int, TrialFacts], run: RunFacts
) -> ConfigurationResults:
    trials, checks = [t for t in trials if not t.cross_check], [t for t in trials if t.cross_check]
    configuration = trials[0].configuration
    stages, searches = _all_stages(trials, facts, run)
    stages = [_proven(stage, configuration, counters, facts, run) for stage in stages]
    others = [stage_of(check, facts.get(check.order), run) for check in checks]
    expected = configuration.hypothesis
    stages_by_name = {trial.stage.name: trial.stage for trial in trials}
    groups = repeats(stages, lambda name: configuration.criteria_of(stages_by_name[name]))
    started = (facts[trial.order].topology for trial in trials if trial.order in facts)
    built = next(filter(None, started), SystemDescription())
    made = ConfigurationResults(
        name=configuration.name,
        title=configuration.title,
        topology=built if built.kind else replace(built, kind=configuration.topology.kind),
        engine=configuration.load.engine,
        load=_load(configuration, run.variables.get(configuration.name, ())),
        hypothesis=None,
        stages=tuple(stages),
        repeats=groups,
        capacity=tuple(capacity(search) for search in searches),
        cross_check=cross_checks(stages, others),
        hooks=hook_summaries(run.hooks, configuration.name) or UNSET,
    )
    answer = hypothesis(Limit(expected) if expected else None, of_medians(made).stages)
    return replace(made, hypothesis=answer)


def _load(configuration: Configuration, variables: Sequence[VariableFacts]) -> LoadSummary:
    load = configuration.load
    return LoadSummary(
        connection=load.connection,
        arrivals=load.arrivals,
        max_in_flight=load.max_in_flight,
        when_full=load.when_full,
        timeout_s=load.timeout,
        request=None if load.is_mix else RequestSummary(load.request.method, load.request.path),
        requests=_mix(load) if load.is_mix and not load.scenarios else UNSET,
        variables=tuple(map(_variable, variables)) or UNSET,
        scenarios=_scenarios(load) or UNSET,
    )


def _scenarios(load: Load) -> tuple[ScenarioSummary, ...]:
    steps: dict[str, list[StepSummary]] = {}
    for part in load.parts if load.scenarios else ():
        scenario, _, step = part.name.partition("/")
        path = "" if part.url else part.path
        steps.setdefault(scenario, []).append(StepSummary(step, part.method, path))
    return tuple(
        ScenarioSummary(name, round(share, 6), tuple(steps.get(name, ())))
        for name, share in load.scenario_shares.items()
    )


def _mix(load: Load) -> tuple[RequestShare, ...]:
    weights = sum(part.weight for part in load.parts)
    return tuple(
        RequestShare(part.name, part.method, part.path, round(part.weight / weights, 6))
        for part in load.parts
    )


def _variable(facts: VariableFacts) -> SentVariable:
    return SentVariable(
        facts.name,
        facts.kind,
        source=facts.source or UNSET,
        order=facts.order or UNSET,
        rows=UNSET if facts.rows is None else facts.rows,
    )


def _proven(
    stage: Stage,
    configuration: Configuration,
    counters: Sequence[Trial],
    facts: Mapping[int, TrialFacts],
    run: RunFacts,
) -> Stage:
    """Return a stage whose verdict its counter-experiments confirmed or refuted, or why there are none."""
    by_change: dict[str, list[Trial]] = {}
    for counter in counters:
        if counter.counter_experiment_for == stage.order and counter.order in facts:
            by_change.setdefault(counter.change, []).append(counter)
    experiments = [
        counter_experiment(stage, _blocks(stage, trials, facts, run), change, configuration)
        for name, trials in by_change.items()
        if (change := change_named(name))
    ]
    stage = replace(stage, verdict=concluded(stage.verdict, experiments))
    reason = unproven(configuration, stage)
    return replace(stage, verdict=replace(stage.verdict, unproven=reason)) if reason else stage


def _blocks(
    stage: Stage, trials: Sequence[Trial], facts: Mapping[int, TrialFacts], run: RunFacts
) -> list[tuple[bool, Stage]]:
    """Return whether each block had the change, and what it measured; the stage itself of older versions."""
    blocks = [(trial.is_changed, stage_of(trial, facts[trial.order], run)) for trial in trials]
    return blocks if trials[0].block is not None else [(False, stage), *blocks]


def _all_stages(
    trials: Sequence[Trial], facts: Mapping[int, TrialFacts], run: RunFacts
) -> tuple[list[Stage], list[SearchProgress]]:
    """Return all stages of a configuration, including the probes of its searches, and the searches."""
    searches = [(trial, _search(trial, facts, run)) for trial in trials]
    stages: list[Stage] = []
    for trial, search in searches:
        probes = probe_stages(search) if search else ()
        stages += probes or [stage_of(trial, facts.get(trial.order), run)]
    return stages, [search for _, search in searches if search]


def _search(trial: Trial, facts: Mapping[int, TrialFacts], run: RunFacts) -> SearchProgress | None:
    return replay(trial, facts, lambda probe, probe_facts: stage_of(probe, probe_facts, run))


def upcoming(
    trial: Trial,
    facts: Mapping[int, TrialFacts],
    run: RunFacts,
    on_search: Callable[[SearchProgress], None] | None = None,
) -> Trial | None:
    """Return what a planned trial still needs: itself or its search's next probe; None if it is complete.

    `on_search` is called with the search, if it is one.
    """
    search = _search(trial, facts, run)
    if search is not None:
        if on_search is not None:
            on_search(search)
        return search.upcoming
    return None if trial.order in facts else trial


def search_sentence(trial: Trial, facts: Mapping[int, TrialFacts], run: RunFacts) -> str:
    """Return what a search has found so far; empty for a trial that is no search."""
    search = _search(trial, facts, run)
    return capacity(search).sentence if search else ""
