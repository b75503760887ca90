"""A complete specification is read unchanged, in every form in which it can be written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.experiment.load import read_spec
from runner.experiment.model import Experiment
from runner.experiment.quantities import format_time

EXPERIMENTS = Path(__file__).parents[2] / "experiments"

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
LINES = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20
).filter(lambda text: text.strip() and text.isprintable())
TIMES = st.integers(1, 60_000).map(lambda ms: format_time(ms / 1000))
PATHS = st.from_regex(r"/[a-z0-9/?=&%.-]{0,20}", fullmatch=True)


def part(required: dict[str, Any], **optional: Any) -> Any:
    return st.fixed_dictionaries(required, optional=optional)


APPS = part(
    {"command": st.lists(LINES, max_size=3).map(lambda arguments: ["serve", *arguments, "{port}"])},
    health=PATHS,
    metrics=PATHS,
    env=st.dictionaries(st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), LINES, max_size=3),
    ready_within=TIMES,
)
TOPOLOGIES = st.one_of(
    part({"kind": st.just("process"), "app": APPS}),
    part({"kind": st.just("external"), "url": st.just("http://localhost:1")}, health=PATHS),
)
LOADS = part(
    {},
    request=part({}, method=st.sampled_from(["GET", "POST"]), path=PATHS, body=st.none() | LINES),
    expect=part({}, status=st.lists(st.integers(200, 599), min_size=1, max_size=3)),
    connection=st.sampled_from(["new", "keep-alive"]),
    arrivals=st.sampled_from(["constant", "poisson"]),
    max_in_flight=st.integers(1, 100_000),
    timeout=TIMES,
    workers=st.just("auto") | st.integers(1, 256),
    seed=st.integers(0, 2**53 - 1),
    quantum=st.sampled_from([0, "250us", "1ms"]),
    cpus=st.lists(st.integers(0, 4095), max_size=3),
)
STAGES = st.lists(
    part({"rps": st.integers(1000, 1_000_000), "duration": TIMES}, warmup=TIMES | st.just(0), name=LINES),
    min_size=1,
    max_size=4,
    unique_by=(lambda stage: stage.get("name") or f"{stage['rps']:,} RPS"),
)
SPECIFICATIONS = part(
    {"version": st.just(1), "name": NAMES, "topology": TOPOLOGIES, "stages": STAGES},
    title=LINES,
    objective=LINES,
    load=LOADS,
    cooldown=TIMES | st.just(0),
    metrics=st.just({"interval": "50ms", "peak_window": "2s"}),
    thresholds=st.lists(
        st.sampled_from(["duration.p95 < 50ms", "errors < 1%", "cpu.app.avg < 2"]), max_size=3
    ),
    repeats=st.integers(1, 1000),
)


def yaml_of(specification: dict[str, Any]) -> bytes:
    """Return it as JSON, which is also YAML."""
    return json.dumps(specification, ensure_ascii=False).encode()


@given(SPECIFICATIONS)
def test_a_specification_is_read_unchanged(specification: dict[str, Any]) -> None:
    experiment = read_spec(yaml_of(specification), source="spec.yaml")

    assert experiment.name == specification["name"]
    assert experiment.repeats == specification.get("repeats", 1)
    (configuration,) = experiment.configurations
    assert configuration.name == specification["name"]
    assert [stage.rps for stage in configuration.stages] == [
        stage["rps"] for stage in specification["stages"]
    ]
    assert [format_time(s.duration) for s in configuration.stages] == [
        s["duration"] for s in specification["stages"]
    ]
    assert [threshold.expr for threshold in configuration.thresholds] == specification.get("thresholds", [])
    for key, value in specification.get("load", {}).items():
        if key not in {"request", "expect", "timeout", "quantum", "cpus"}:
            assert getattr(configuration.load, key) == value


@given(SPECIFICATIONS)
def test_an_experiment_can_be_stored_as_json(specification: dict[str, Any]) -> None:
    experiment = read_spec(yaml_of(specification), source="spec.yaml")

    assert Experiment.model_validate(json.loads(experiment.model_dump_json())) == experiment
    assert Experiment.model_validate(experiment.model_dump()) == experiment


@given(SPECIFICATIONS)
def test_an_empty_configuration_equals_the_shared_keys_under_another_name(
    specification: dict[str, Any],
) -> None:
    (alone,) = read_spec(yaml_of(specification), source="s").configurations
    (merged,) = read_spec(
        yaml_of({**specification, "configurations": [{"name": "x"}]}), source="s"
    ).configurations

    assert merged == alone.model_copy(update={"name": "x"})


@given(SPECIFICATIONS, st.sampled_from(["load", "topology", "stages", "cooldown", "repeats", "title"]))
def test_a_value_set_on_the_command_line_equals_one_in_the_file(
    specification: dict[str, Any], key: str
) -> None:
    if key not in specification:
        return
    override = f"{key}={json.dumps(specification[key], ensure_ascii=False)}"
    rest = {name: value for name, value in specification.items() if name != key}

    assert read_spec(yaml_of(rest), source="s", overrides=[override]) == read_spec(
        yaml_of(specification), source="s"
    )


@pytest.mark.parametrize("name", ["quickstart.yaml", "single-process.yaml"])
def test_our_own_experiments_are_valid(name: str) -> None:
    experiment = read_spec((EXPERIMENTS / name).read_bytes(), source=name)

    assert experiment.name == name.removesuffix(".yaml")
