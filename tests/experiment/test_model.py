"""Every rule of the specification: what is accepted, what is refused, and with which message."""

from __future__ import annotations

import pytest

from runner.core.metric import Dimension
from runner.core.metrics import METRICS
from runner.experiment.external_topology import ExternalTopology
from runner.experiment.k6_limits import UNMEASURED
from runner.experiment.model import App, Configuration, Experiment, Load, Stage
from runner.experiment.stage import stage_name
from tests.experiment.samples import DESIGN, MINIMAL, PROCESS, error, only, read, sole, table

DOCKER = """\
version: 1
name: boxed
topology:
  kind: docker
  app: {image: "my:1", port: 8080}
stages: [{rps: 10, duration: 1s}]
"""


def test_an_absent_key_has_the_documented_default() -> None:
    experiment = read(MINIMAL)
    configuration = experiment.configurations[0]

    assert (experiment.title, experiment.objective, experiment.repeats) == ("tiny", "", 1)
    assert configuration.name == "tiny"
    assert configuration.title is None
    assert configuration.load == Load()
    assert (configuration.load.max_in_flight, configuration.load.timeout) == (2000, 10.0)
    assert (configuration.cooldown, configuration.thresholds) == (2.0, ())
    assert (configuration.metrics.interval, configuration.metrics.peak_window) == (0.2, 1.0)
    assert configuration.stages == (Stage(rps=10, duration=1.0, warmup=0.0, name="10 RPS"),)


def test_numbers_and_booleans_keep_their_spelling_where_text_is_expected() -> None:
    text = PROCESS.replace(
        'command: [serve, --port, "{port}"]',
        'command: [serve, 1.50, true, "{port}"]\n'
        "    env: {GO: 1.10, N: 3, DEBUG: true, WHEN: 2024-01-01, M: 0755}",
    )
    app = only(text).topology.app

    assert app.command == ("serve", "1.50", "true", "{port}")
    assert app.env == {"GO": "1.10", "N": "3", "DEBUG": "true", "WHEN": "2024-01-01", "M": "0755"}


@pytest.mark.parametrize(
    ("rps", "name"),
    [(4000, "4,000 RPS"), (1, "1 RPS"), (0.5, "0.5 RPS"), (1234.25, "1,234.25 RPS"), (1e6, "1,000,000 RPS")],
)
def test_a_stage_is_named_after_its_rate(rps: float, name: str) -> None:
    assert stage_name(rps) == name
    assert Stage(rps=rps, duration=10.0).name == name


def with_(path_value: str, base: str = PROCESS) -> str:
    """Return the only problem that a change causes, without its position."""
    refused = error(base, path_value)
    (position,) = refused.positions
    return f"{position.path}: {position.message}" + (f" ({position.hint})" if position.hint else "")


@pytest.mark.parametrize(("change", "problem"), table("refused"))
def test_an_invalid_value_is_refused_with_this_message(change: str, problem: str) -> None:
    assert with_(change) == problem


@pytest.mark.parametrize(("change", "problem"), table("external"))
def test_an_invalid_url_is_refused_with_this_message(change: str, problem: str) -> None:
    assert with_(change, MINIMAL) == problem


@pytest.mark.parametrize(
    "url", ["http://a", "http://a/", "http://127.0.0.1:80/base", "'http://[::1]:8080'", "http://a_b.c-d:1"]
)
def test_a_plain_url_is_accepted(url: str) -> None:
    assert only(MINIMAL, f"topology.url={url}").topology.url == url.strip("'")


def test_a_pid_listed_twice_is_refused() -> None:
    assert with_("topology.pids=[7, 8, 7]", MINIMAL) == "topology.pids[2]: pid 7 is listed twice"


@pytest.mark.parametrize(
    ("load", "subject"),
    [
        ("load={engine: k6}", "engine k6"),
        ("load={cross_check: true}", "cross_check uses engine k6, which"),
        ("load={engine: k6, cross_check: true}", "engine k6"),
    ],
)
def test_k6_cannot_spread_load_over_all_addresses(load: str, subject: str) -> None:
    everywhere = MINIMAL.replace('8080"}', '8080", resolve: all}')

    assert read(everywhere, "load={engine: builtin}").configurations[0].topology.resolve == "all"
    assert with_(load, everywhere) == (
        f"topology.resolve: {subject} connects to one address only "
        "(remove 'resolve', or use engine builtin without cross_check)"
    )
    assert read(MINIMAL, load).configurations[0].topology.resolve == "first"


@pytest.mark.parametrize("path", METRICS)
def test_a_threshold_is_refused_if_k6_never_measures_its_metric(path: str) -> None:
    metric = METRICS[path]
    if metric.scenarios_only:
        return
    bound = {Dimension.TIME: "50ms", Dimension.SIZE: "9MiB"}.get(metric.dimension, "1")
    threshold = f"thresholds=['{path} < {bound}']"
    kind, _, statistic = path.partition(".")

    assert only(MINIMAL, threshold, "load.engine=builtin", "load.cross_check=true").thresholds
    if kind in UNMEASURED:
        assert with_(threshold, MINIMAL + "load: {engine: k6}") == (
            f"thresholds[0]: engine k6 does not measure {path} (use duration.{statistic} or engine builtin; "
            "k6 measures duration, connect and tls)"
        )
    else:
        assert only(MINIMAL, threshold, "load.engine=k6").thresholds


def test_a_threshold_of_a_stage_is_refused_if_k6_never_measures_its_metric() -> None:
    staged = "stages=[{rps: 10, duration: 1s, thresholds: ['response_time.p95 < 50ms']}]"

    assert with_(staged, MINIMAL + "load: {engine: k6}").startswith(
        "stages[0].thresholds[0]: engine k6 does not measure response_time.p95"
    )


ACCEPTED = [
    ("a Host header", "load.request.headers={Host: example.com}"),
    ("a header that looks like a number", "load.request.headers={X-Retry: 3}"),
    ("a body with GET", "load.request.body=hello"),
    ("a query in the path", "load.request.path='/a?b=c&d=%20'"),
    ("no warm-up", "stages[0].warmup=0"),
    ("a fixed port", "topology.app={command: [serve], port: 80}"),
    ("a fixed port that is filled in", "topology.app.port=80"),
    ("a quarter of a request a second", "stages[0]={rps: 0.25, duration: 4s}"),
    ("a thousand repeats", "repeats=1000"),
    ("another scheme of names", "stages[0].name=Größe 1 🚀"),
]


@pytest.mark.parametrize("change", [row[1] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_a_valid_value_is_accepted(change: str) -> None:
    assert read(PROCESS, change)


def test_the_design_sample_is_read_completely() -> None:
    experiment = read(DESIGN)
    configuration = experiment.configurations[0]

    assert configuration.topology.model_dump() == {
        "kind": "docker",
        "app": {
            "command": None,
            "build": "app_server",
            "image": None,
            "port": 8080,
            "health": "/healthz",
            "metrics": "/metrics",
            "cwd": None,
            "env": {"APP_WORK_US": "50"},
            "env_from": (),
            "hardened": False,
            "cpus": 1.0,
            "memory": 256 * 1024**2,
            "ready_within": 30.0,
        },
        "replicas": 2,
        "proxy": {"kind": "nginx", "keepalive": 0, "workers": "auto", "connections": 16384},
        "services": {},
        "watch": {},
        "network": "bridge",
        "publish": "port",
        "cpus": (),
    }
    assert [threshold.metric for threshold in configuration.thresholds] == [
        "duration.p95",
        "achieved",
        "errors",
        "cpu.app.avg",
    ]
    assert (configuration.name, configuration.load.connection) == ("keep-alive", "keep-alive")


@pytest.mark.parametrize(("change", "problem"), table("docker"))
def test_an_invalid_container_is_refused_with_this_message(change: str, problem: str) -> None:
    assert with_(change, DOCKER) == problem


def test_an_unknown_kind_of_topology_lists_the_kinds_that_exist() -> None:
    assert with_("topology.kind=nomad", DOCKER) == (
        "topology.kind: unknown kind 'nomad'; "
        "this version supports process, docker, external, compose and swarm"
    )


def test_in_python_times_are_seconds_and_sizes_are_bytes() -> None:
    configuration = Configuration(
        name="a",
        topology=ExternalTopology(kind="external", url="http://a"),
        stages=(Stage(rps=1, duration=2.5),),
    )

    assert App(memory=64 * 1024**2).memory == 64 * 1024**2
    assert Configuration.model_validate(configuration.model_dump()) == configuration
    with pytest.raises(ValueError, match="already used"):
        Experiment(version=1, name="x", configurations=(configuration, configuration))


def test_all_conflicts_in_one_mapping_are_reported() -> None:
    refused = error(PROCESS.replace('[serve, --port, "{port}"]', "[serve]\n    image: a\n    cpus: 1"))

    assert [position.path for position in refused.positions] == [
        "topology.app.command",
        "topology.app.image",
        "topology.app.cpus",
    ]


def test_a_message_shows_the_line_and_the_value() -> None:
    assert sole(PROCESS.replace("rps: 100", "rps: fast")) == (
        "spec.yaml:10:11: stages[0].rps: should be a number, not 'fast'\n"
        "  10 |   - {rps: fast, duration: 10s}\n"
        "     |           ^^^^"
    )


@pytest.mark.parametrize(
    "number", ["99999999999999999999", "1e300", ".inf", "-.inf", "12345678901234567890.5"]
)
def test_a_number_that_is_out_of_range_is_called_so(number):
    message = sole(PROCESS.replace("rps: 100", f"rps: {number}")).splitlines()[0]

    assert message.endswith(f"should be a finite number of at most 18 digits, not '{number}'")


@pytest.mark.parametrize(
    ("stage", "path", "message"),
    [
        ("{rps: {from: 5, to: 5}, duration: 9s}", "stages[0].rps.to", "should differ from 'from'"),
        ("{rps: {from: 0, to: 5}, duration: 9s, warmup: 1s}", "stages[0].warmup", "has no warm-up"),
        ("{rps: {from: 1, to: 5}, duration: 1s}", "stages[0].duration", "at least 2s for a ramp"),
        ("{rps: {from: -1, to: 5}, duration: 9s}", "stages[0].rps.from", "at least 0"),
        ("{rps: 5, users: 5, duration: 9s}", "stages[0].users", "either rps or users"),
        ("{duration: 9s}", "stages[0]", "needs rps, users or users_per_s"),
        ("{users: 0, duration: 9s}", "stages[0].users", "at least 1"),
        ("{users: 2001, duration: 9s}", "stages[0].users", "max_in_flight of at least 2,001"),
        (
            "{users: 5, duration: 9s, thresholds: [achieved > 9%]}",
            "stages[0].thresholds[0]",
            "does not exist",
        ),
    ],
)
def test_a_level_that_cannot_be_offered_is_refused_where_it_is(stage, path, message):
    text = f"""
version: 1
name: levels
topology: {{kind: external, url: "http://127.0.0.1:9"}}
stages: [{stage}]
"""
    problem = sole(text)

    assert f"{path}: " in problem
    assert message in problem


@pytest.mark.parametrize("setting", ["arrivals: poisson", "when_full: queue", "quantum: 250us"])
def test_what_rates_alone_have_is_refused_where_all_stages_have_users(setting):
    text = f"""
version: 1
name: levels
topology: {{kind: external, url: "http://127.0.0.1:9"}}
load: {{{setting}}}
stages: [{{users: 5, duration: 9s}}]
"""
    key = setting.partition(":")[0]

    assert f"load.{key}: has no effect, because all stages have users" in sole(text)
    read(text.replace("users: 5", "rps: 5"))
    read(text.replace("]", ", {rps: 5, duration: 9s}]"))


def test_a_run_has_at_most_a_thousand_stages():
    text = """
version: 1
name: levels
topology: {kind: external, url: "http://127.0.0.1:9"}
stages: [%s]
"""

    assert (
        len(
            read(text % ", ".join(f"{{rps: {n}, duration: 1s}}" for n in range(1, 1001)))
            .configurations[0]
            .stages
        )
        == 1000
    )
    assert "at most 1,000 entries" in sole(text % ", ".join(["{rps: 1, duration: 1s}"] * 1001))
