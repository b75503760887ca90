"""Every verdict is tested with the one change that should lift its limit, if it applies."""

import pytest

from runner.experiment.changes import CHANGES
from runner.experiment.counter_experiments import changed, changes_for
from runner.experiment.load import read_spec
from runner.experiment.multiplied import POOL, multiplied_option, multiplied_variable
from tests.experiment.samples import SCENARIOS

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

    change = changes_for(before, code)[0]
    after = changed(before, change.name)

    assert change.name == name
    assert different(before.model_dump(), after.model_dump()) == {"name", path}
    assert at(after.model_dump(), path) == value


def test_connections_of_users_are_reused_to_test_whether_opening_them_is_the_limit():
    per_user = configuration(SCENARIOS)

    assert per_user.load.connection == "per-user"
    assert changed(per_user, "keep-alive").load.connection == "keep-alive"


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

    assert changed(before, changes_for(before, code)[0].name).topology.app.command == command


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("gunicorn, -w, 1, --threads, 16", ("gunicorn", "-w", "2", "--threads", "16")),
        (
            "/venv/bin/gunicorn, --threads=16, --workers=3",
            ("/venv/bin/gunicorn", "--threads=16", "--workers=6"),
        ),
        ("gunicorn, --threads, 16", ("gunicorn", "--threads", "32")),
        ("shop, -w, 1, --threads, 16", ("shop", "-w", "1", "--threads", "32")),
    ],
)
def test_workers_are_the_processes_before_the_threads(before, after):
    command = 'shop, --port, "{port}", --workers=2, --backlog, "4"'
    shop = configuration(PROCESS.replace(command, f'{before}, "{{port}}"'))

    assert changed(shop, "workers").topology.app.command == (*after, "{port}")


@pytest.mark.parametrize("code", ["within-capacity", "error-limited"])
def test_some_verdicts_have_no_counter_experiment(code):
    assert changes_for(configuration(DOCKER), code) == ()


@pytest.mark.parametrize("name", ["direct", "no-proxy", "replica", "cpu-limit", "no such thing"])
def test_a_change_that_does_not_apply_is_refused(name):
    with pytest.raises(ValueError, match="does not apply"):
        changed(configuration(PROCESS), name)


@pytest.mark.parametrize(
    ("name", "share"), [("replica", 0.5), ("proxy-worker", 1.0), ("cpu-limit", 1.0), ("keep-alive", 1.0)]
)
def test_a_change_knows_by_how_much_it_enlarges_what_it_changes(name, share):
    assert CHANGES[name].adds(configuration(DOCKER)) == share


@pytest.mark.parametrize(
    ("words", "changed_words"),
    [
        (("shop", "--pool-size", "5"), ("shop", "--pool-size", "10")),
        (("shop", "--db-max-connections=5"), ("shop", "--db-max-connections=10")),
        (("shop", "--pool", "5"), ("shop", "--pool", "10")),
        (("shop", "--carpool-lanes-open", "5"), None),
    ],
)
def test_the_size_of_a_pool_is_doubled(words, changed_words):
    assert multiplied_option(words, POOL, 2) == changed_words


@pytest.mark.parametrize(
    "name", ["POOL", "POOL_SIZE", "DB_POOL_MAX", "DB_MAX_CONNECTIONS", "PGPOOL_MAX_SIZE"]
)
def test_the_size_of_a_pool_in_a_variable_is_doubled(name):
    assert multiplied_variable({"PORT": "80", name: "5"}, POOL, 2) == {"PORT": "80", name: "10"}


@pytest.mark.parametrize("name", ["WHIRLPOOLS", "POOL_TIMEOUT", "CONNECT_TIMEOUT", "MAX_AGE"])
def test_a_number_that_is_no_size_of_a_pool_is_left_alone(name):
    assert multiplied_variable({name: "5"}, POOL, 2) is None
