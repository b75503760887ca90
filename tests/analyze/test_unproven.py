"""A stage without a counter-experiment has a reason, whatever its verdict and its topology."""

import pytest
from msgspec.structs import replace

from runner.analyze.proof_plan import next_blocks
from runner.analyze.unproven import unproven
from runner.core.codes import Confidence, Limit, StageStatus
from runner.core.findings import Finding
from runner.experiment.load import read_spec
from runner.experiment.trials import plan
from tests.analyze.facts import SPEC, results_of
from tests.analyze.stages import likely, stage


def configured(*changes):
    return read_spec(PROVE, source="shop.yaml", overrides=changes).configurations[0]


PROVE = SPEC + b"prove: true\n"


@pytest.mark.parametrize(
    ("limit", "more", "words"),
    [
        (Limit.WITHIN_CAPACITY, {}, "none is needed"),
        (Limit.ERROR, {}, "no change of the configuration can test error-limited"),
        (
            Limit.APP_QUOTA,
            {},
            "no change that tests app-quota-throttled applies to this configuration (doubling the CPU limit)",
        ),
        (Limit.CONNECTION, {}, "it was not run"),
        (Limit.CONNECTION, {"status": StageStatus.FAILED}, "the stage is failed"),
        (Limit.CONNECTION, {"status": StageStatus.NOT_RUN}, ""),
        (Limit.CONNECTION, {"repeat": 2}, ""),
    ],
)
def test_every_stage_without_a_counter_experiment_has_a_reason(limit, more, words):
    verdict = likely(limit)

    reason = unproven(configured(), stage(verdict=verdict, **more))

    assert reason.startswith(words) if words else reason == ""
    assert unproven(configured("prove=false"), stage(verdict=verdict, **more)) == ""


TOPOLOGIES = {
    "process": b"{kind: process, app: {command: [shop, '{port}']}, watch: {db: {port: 5432}}}",
    "docker": b"{kind: docker, app: {image: shop, port: 80}, services: {db: {image: postgres, port: 5432}}}",
    "external": b"{kind: external, url: 'http://127.0.0.1:8080', watch: {db: {port: 5432}}}",
    "compose": b"{kind: compose, files: [compose.yml], target: {service: web, port: 80}}",
}


def with_topology(topology):
    before, rest = PROVE.split(b"topology:")
    return before + b"topology: " + topology + b"\nload:" + rest.partition(b"load:")[2]


@pytest.mark.parametrize("limit", Limit)
@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_every_verdict_is_tested_or_says_why_not_with_every_topology(topology, limit):
    spec = with_topology(topology)
    experiment = read_spec(spec, source="shop.yaml")
    found = Finding(limit, Confidence.LIKELY, "", (), "", "db")
    shown = stage(verdict=replace(likely(limit), findings=(found,)), actual_rps=80.0)
    of_none = results_of(spec=spec)
    results = replace(of_none, configurations=(replace(of_none.configurations[0], stages=(shown,)),))

    blocks = next_blocks(plan(experiment), results)
    reason = unproven(experiment.configurations[0], shown)

    assert reason == "it was not run" if blocks else reason not in {"", "it was not run"}


@pytest.mark.parametrize(
    ("topology", "words"),
    [
        ("process", "this run does not start db"),
        (
            "docker",
            "no change that tests service-limited applies to this configuration (doubling the CPU limit",
        ),
        ("external", "this run does not start the system"),
        ("compose", "no change that tests service-limited applies"),
    ],
)
def test_a_service_that_cannot_be_changed_is_named(topology, words):
    spec = with_topology(TOPOLOGIES[topology])
    found = Finding(Limit.SERVICE, Confidence.LIKELY, "", (), "", "db")
    shown = stage(verdict=replace(likely(Limit.SERVICE), findings=(found,)))

    assert unproven(read_spec(spec, source="shop.yaml").configurations[0], shown).startswith(words)
