"""Results of real runs, kept as they are while those in reports/ are made anew, and changes to them."""

from pathlib import Path

from msgspec.structs import replace

from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.store.results_file import parse_results

RESULTS = Path(__file__).parents[1] / "results"


def stored(name: str) -> Results:
    """Return the results of a run."""
    file = RESULTS / f"{name}.json"
    return parse_results(file.read_bytes(), file)


def first_stage(results: Results) -> Stage:
    """Return the first stage of the first configuration."""
    return results.configurations[0].stages[0]


def with_configuration(results: Results, at: int = 0, **changes: object) -> Results:
    """Return the results with some fields of one configuration changed."""
    configurations = list(results.configurations)
    configurations[at] = replace(configurations[at], **changes)
    return replace(results, configurations=tuple(configurations))


def with_stage(results: Results, at: tuple[int, int] = (0, 0), **changes: object) -> Results:
    """Return the results with some fields of one stage changed; `at` is its configuration and its index."""
    configuration, index = at
    stages = list(results.configurations[configuration].stages)
    stages[index] = replace(stages[index], **changes)
    return with_configuration(results, configuration, stages=tuple(stages))


def with_experiment(results: Results, **changes: object) -> Results:
    """Return the results with some fields of the experiment changed."""
    return replace(results, experiment=replace(results.experiment, **changes))


def with_run(results: Results, **changes: object) -> Results:
    """Return the results with some fields of the run changed."""
    return replace(results, run=replace(results.run, **changes))
