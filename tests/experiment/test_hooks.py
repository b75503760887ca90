"""Hooks in a specification: what they may contain, and which values they and the load may insert."""

import pytest
import yaml

from runner.core.errors import SpecificationError
from runner.experiment.hook_addresses import unknown_address, with_addresses
from runner.experiment.hook_values import used_names
from runner.experiment.hooks import Phase, describe, placed
from runner.experiment.load import read_spec
from runner.experiment.resolved import resolved_text

CREATE = {"request": {"method": "POST", "path": "/orgs"}, "extract": {"org": {"json": "$.id"}}}
VARIABLES = {"token": {"env": "TOKEN"}, "size": {"int": [1, 5]}}
PROCESS = {"kind": "process", "app": {"command": ["app", "{port}"]}}
EXTERNAL = {"kind": "external", "url": "http://127.0.0.1:80"}


def read(hooks, topology=PROCESS, path="/${token}/${size}"):
    spec = {
        "version": 1,
        "name": "a",
        "topology": topology,
        "load": {"variables": VARIABLES, "request": {"path": path}},
        "stages": [{"rps": 1, "duration": "1s"}],
        "hooks": hooks,
    }
    return read_spec(yaml.safe_dump(spec).encode(), source="a.yaml")


def problem(hooks, **changes) -> str:
    with pytest.raises(SpecificationError) as raised:
        read(hooks, **changes)
    (only,) = raised.value.positions
    return f"{only.path}: {only.message} ({only.hint})"


def test_later_hooks_and_the_load_can_use_what_a_request_extracts():
    steps = [CREATE, {"run": ["seed", "${org}", "${token}"], "env": {"A": "${org}"}, "in": "app"}]
    (configuration,) = read({"setup": steps, "teardown": [CREATE]}, path="/${org}/${size}").configurations

    assert [hook.path for hook in placed(configuration.hooks)] == [
        "hooks.setup[0]", "hooks.setup[1]", "hooks.teardown[0]"
    ]  # fmt: skip
    assert used_names(configuration.hooks) == {"org", "token"}
    assert configuration.hooks.setup[0].request.expect.statuses == tuple(range(200, 300))


def test_a_resolved_specification_has_the_same_hooks():
    experiment = read({"setup": [CREATE], "before_trial": [{"run": ["a"], "within": "5m"}]})

    assert read_spec(resolved_text(experiment).encode(), source="b.yaml") == experiment


def test_a_configuration_can_have_hooks_of_its_own():
    spec = {
        "version": 1, "name": "a", "topology": PROCESS, "stages": [{"rps": 1, "duration": "1s"}],
        "hooks": {"setup": [CREATE]},
        "configurations": [
            {"name": "one", "load": {"request": {"path": "/${org}"}}},
            {"name": "two", "hooks": {"setup": [{"run": ["b"]}]}},
        ],
    }  # fmt: skip

    one, two = read_spec(yaml.safe_dump(spec).encode(), source="a.yaml").configurations

    assert one.hooks.of(Phase.SETUP)[0].title == "POST /orgs"
    assert two.hooks.of(Phase.SETUP)[0].title == "b"


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ({}, ": should have run or request (such as run: [./seed.sh])"),
        ({"run": ["a"], **CREATE, "extract": {}}, ".request: cannot be combined with run"),
        ({"run": [""]}, ".run[0]: the program name is empty"),
        ({"run": ["a\0b"]}, ".run[0]: should not contain a NUL character"),
        ({**CREATE, "in": "app"}, ".in: requires run"),
        ({**CREATE, "env": {"A": "b"}}, ".env: requires run"),
        ({"run": ["a"], "extract": {"b": {"header": "C"}}}, ".extract: requires request"),
        ({"run": ["a"], "in": "ap"}, ".in: there is no part 'ap' (did you mean 'app'?)"),
        ({"run": ["a"], "within": "2h"}, ".within: should be at most 1h, not '2h'"),
        ({"run": ["a"], "witin": "2s"}, ".witin: unknown key (did you mean 'within'?)"),
        ({"run": ["${tokn}"]}, ".run[0]: no earlier hook extracts 'tokn', and load.variables has no"),
        ({"run": ["${HOME}"]}, ".run[0]: no earlier hook extracts 'HOME', and load.variables has no"),
        ({"run": ["${size}"]}, ".run[0]: ${size} has another value for each request (int)"),
        ({"run": ["a"], "env": {"A": "${token.b}"}}, ".env.A: ${token.b} names a part, but token"),
        ({"run": ["${"]}, ".run[0]: '${' is not closed by '}'"),
        ({"request": {"path": "/${org}"}}, ".request.path: no earlier hook extracts 'org'"),
        ({"request": {"path": "/", "json": {"${token}": 1}}}, '.request.json["${token}"]: a name'),
        ({**CREATE, "extract": {"token": {"json": "$.id"}}}, ".extract.token: 'token' is a "),
        ({**CREATE, "extract": {"a-b": {"json": "$.id"}}}, ".extract.a-b: should be 1 to 48"),
        ({**CREATE, "extract": {"a": {}}}, ".extract.a: should have exactly one of json"),
        ({**CREATE, "extract": {"a": {"json": "$", "header": "b"}}}, ".extract.a: should have ex"),
        ({**CREATE, "extract": {"a": {"json": "id"}}}, ".extract.a.json: is not a JSONPath"),
        ({**CREATE, "extract": {"a": {"regex": "("}}}, ".extract.a.regex: is not a regular"),
        ({"request": {"method": "HEAD"}, "extract": {"a": {"json": "$"}}}, ".extract.a: a respo"),
        ({"request": {"method": "HEAD", "expect": {"body_contains": "a"}}}, ".request.expect"),
    ],
)  # fmt: skip
def test_a_wrong_hook_is_refused_where_it_is_wrong(hook, expected):
    assert problem({"setup": [hook]}).startswith(f"hooks.setup[0]{expected}")


def test_a_misspelt_name_is_suggested_and_a_variable_of_a_shell_can_be_escaped():
    assert problem({"setup": [{"run": ["${tokn}"]}]}).endswith("(did you mean 'token'?)")
    assert problem({"setup": [{"run": ["${HOME}"]}]}).endswith("(write $${ for a literal ${)")
    assert read({"setup": [{"run": ["$${HOME} $HOME"]}]})


def test_what_only_teardown_extracts_is_unknown_to_the_load():
    wrong = problem({"teardown": [CREATE]}, path="/${org}/${token}/${size}")
    assert wrong.startswith("load.request.path: there is no variable 'org'")
    both = problem({"setup": [CREATE]}, path="/${ogr}/${token}/${size}")
    assert both.endswith("no variable 'ogr' in load.variables, and no hook extracts it (did you mean 'org'?)")


def test_a_service_that_already_runs_has_no_parts():
    expected = (
        "hooks.setup[0].in: this kind of topology has no part that commands could run inside (remove it)"
    )
    assert problem({"setup": [{"run": ["a"], "in": "app"}]}, topology=EXTERNAL) == expected


def test_a_service_is_a_part():
    topology = PROCESS | {"services": {"db": {"command": ["redis-server"], "port": 6379}}}
    assert read({"setup": [{"run": ["redis-cli"], "in": "db"}]}, topology=topology)


SERVICES = {"db": {"command": ["postgres"], "port": 5432}, "job": {"command": ["worker"]}}
WATCH = {"cache-1": {"port": 6379}}
ADDRESSED = PROCESS | {"services": SERVICES, "watch": WATCH}


def test_hooks_insert_the_addresses_of_services_and_nothing_after_a_second_dollar():
    url = "sql://${token}@${db.host}:${db.port} $${db.host}"
    request = {
        "method": "POST",
        "path": "/${db.port}",
        "json": {"at": ["${cache-1.host}", 1]},
        "headers": {"A": url},
    }
    (configuration,) = read(
        {"setup": [{"run": ["psql", url], "env": {"A": url}}, {"request": request}]}, ADDRESSED
    ).configurations
    addresses = {"db": ("10.0.0.2", 5432), "cache-1": ("127.0.0.1", 6379)}

    command, sent = (with_addresses(hook, addresses) for hook in configuration.hooks.setup)

    filled = "sql://${token}@10.0.0.2:5432 $${db.host}"
    assert (command.run, command.env) == (("psql", filled), {"A": filled})
    assert (sent.request.path, sent.request.json_body) == ("/5432", {"at": ["127.0.0.1", 1]})
    assert sent.request.headers == {"A": filled}
    assert used_names(configuration.hooks) == {"token"}
    assert unknown_address(configuration.hooks.setup[0], addresses) is None
    assert unknown_address(configuration.hooks.setup[0], {"dba": ("a", 1)}) == (
        "there is no service 'db' that it can reach", "did you mean 'dba'?"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "${cach-1.host}",
            "${cach-1.host}: there is no service 'cach-1' (did you mean 'cache-1'?; write $${",
        ),
        ("${db.prt}", "${db.prt}: a service has no 'prt' (did you mean 'port'?)"),
        ("${job.port}", "${job.port}: the port of the service job is not known (add port to"),
        ("${token.host}", "${token.host} names a part, but token has none"),
    ],
)
def test_an_address_that_is_not_known_is_refused(text, expected):
    assert problem({"setup": [{"run": [text]}]}, topology=ADDRESSED).startswith(
        f"hooks.setup[0].run[0]: {expected}"
    )


def test_only_hooks_on_this_host_can_insert_the_address_of_a_watched_service_beside_containers():
    topology = {"kind": "docker", "app": {"image": "a", "port": 80}, "watch": WATCH}
    hook = {"run": ["a", "${cache-1.port}"]}

    assert read({"setup": [hook]}, topology)
    assert read({"setup": [hook | {"in": "app"}]}, topology | {"network": "host"})
    assert "runs on this host, outside the network of app" in problem(
        {"setup": [hook | {"in": "app"}]}, topology=topology
    )


def test_names_of_services_are_not_checked_where_only_the_compose_file_has_them():
    topology = {"kind": "compose", "files": ["a.yml"], "target": {"service": "web", "port": 80}}
    assert read({"setup": [{"run": ["a", "${web.host}"], "in": "web"}]}, topology)


def test_every_command_and_request_can_be_shown_before_it_runs():
    hooks = {
        "setup": [{"run": ["./seed.sh", "a b"], "env": {"A": "c d"}}, {"run": ["x"], "in": "app"}],
        "teardown": [{"request": {"method": "DELETE", "path": "/a"}}],
    }
    (configuration,) = read(hooks).configurations

    assert list(describe(configuration.hooks, "/folder", "the app")) == [
        "setup: runs `./seed.sh 'a b'` in the folder /folder",
        "  with all variables of your environment",
        "  with A='c d'",
        "setup: runs `x` inside app",
        "teardown: sends DELETE /a to the app",
    ]
