"""Every verdict is tested with the one change that should lift its limit, if it applies."""

import pytest

from runner.experiment.counter_experiments import CHANGES, changed, counter_experiment
from runner.experiment.load import read_spec
from runner.experiment.trials import counter_trials, plan

DOCKER = """
version: 1
name: shop
topology:
  kind: docker
  app: {image: shop, port: 8080, cpus: 0.5, memory: 64MiB, env: {APP_BACKLOG: "8"}}
  replicas: 2
  proxy: {kind: nginx, workers: 1}
load: {connection: new}
stages: [{rps: 100, duration: 4s}, {rps: 200, duration: 4s}]
prove: true
"""
PROCESS = """
version: 1
name: shop
topology: {kind: process, app: {command: [shop, --port, "{port}", --workers=2, --backlog, "4"]}}
stages: [{rps: 100, duration: 4s}]
prove: true
"""


def configuration(text):
    return read_spec(text.encode(), source="shop.yaml").configurations[0]


@pytest.mark.parametrize(
    ("code", "name", "path", "value"),
    [
        ("connection-limited", "backlog", "topology.app.env.APP_BACKLOG", "128"),
        ("forwarder-limited", "direct", "topology.publish", "container"),
        ("proxy-cpu-limited", "proxy-worker", "topology.proxy.workers", 2),
        ("app-cpu-limited", "replica", "topology.replicas", 3),
        ("app-quota-throttled", "cpu-limit", "topology.app.cpus", 1.0),
        ("memory-limited", "memory-limit", "topology.app.memory", 128 * 1024**2),
        ("app-concurrency-limited", "replica", "topology.replicas", 3),
        ("host-cpu-limited", "keep-alive", "load.connection", "keep-alive"),
        ("generator-limited", "generators", "load.workers", 2),
        ("undetermined", "keep-alive", "load.connection", "keep-alive"),
    ],
)
def test_a_counter_experiment_changes_one_thing(code, name, path, value):
    before = configuration(DOCKER)

    change = counter_experiment(before, code)
    after = changed(before, change.name)

    assert change.name == name
    assert different(before.model_dump(), after.model_dump()) == {"name", path}
    assert at(after.model_dump(), path) == value


def different(before, after, path=""):
    if not isinstance(before, dict):
        return set() if before == after else {path.removeprefix(".")}
    return {leaf for key in before for leaf in different(before[key], after[key], f"{path}.{key}")}


def at(tree, path):
    for key in path.split("."):
        tree = tree[key]
    return tree


@pytest.mark.parametrize(
    ("code", "command"),
    [
        ("connection-limited", ("shop", "--port", "{port}", "--workers=2", "--backlog", "64")),
        ("app-cpu-limited", ("shop", "--port", "{port}", "--workers=4", "--backlog", "4")),
    ],
)
def test_a_number_in_an_option_of_the_command_is_multiplied(code, command):
    before = configuration(PROCESS)

    assert changed(before, counter_experiment(before, code).name).topology.app.command == command


@pytest.mark.parametrize("code", ["within-capacity", "error-limited"])
def test_some_verdicts_have_no_counter_experiment(code):
    assert counter_experiment(configuration(DOCKER), code) is None


@pytest.mark.parametrize("name", ["direct", "no-proxy", "replica", "cpu-limit", "no such thing"])
def test_a_change_that_does_not_apply_is_refused(name):
    with pytest.raises(ValueError, match="does not apply"):
        changed(configuration(PROCESS), name)


def test_a_replica_that_also_needs_a_proxy_is_not_a_clean_change():
    assert not CHANGES["replicas"].clean
    assert changed(configuration(PROCESS), "replicas").topology.proxy is not None


def test_trials_with_one_change_are_grouped_and_continue_the_numbering():
    trials = plan(read_spec(DOCKER.encode(), source="shop.yaml"))

    counters = counter_trials(trials, {0: "host-cpu-limited", 1: "host-cpu-limited"})

    assert [(t.order, t.counter_experiment_for, t.change, t.configuration.name) for t in counters] == [
        (2, 0, "keep-alive", "shop-keep-alive"),
        (3, 1, "keep-alive", "shop-keep-alive"),
    ]


def test_no_counter_experiment_runs_without_prove():
    trials = plan(read_spec(DOCKER.replace("prove: true", "").encode(), source="shop.yaml"))

    assert counter_trials(trials, {0: "host-cpu-limited"}) == ()
