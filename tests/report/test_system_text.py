"""The sentence about the system and its load."""

import shlex

import pytest
from msgspec.structs import replace

from runner.core.load_facts import ConnectionCounts
from runner.core.system_facts import ServiceFacts, SystemDescription
from runner.report.system_text import command_line, described
from tests.report.stored_results import stored, with_stage

CLOSED = "with keep-alive connections, which the server closed after most responses"


def sentence(closed):
    """Return the sentence for a run over keep-alive connections."""
    results = stored("quickstart")
    counts = None if closed is None else ConnectionCounts(opened=10, closed_by_server=closed)
    for at in range(2):
        results = with_stage(results, (0, at), connections=counts)
    return described(results.configurations[0])


@pytest.mark.parametrize(("share", "shown"), [(1.0, True), (0.5, True), (0.4, False), (0.0, False)])
def test_keep_alive_connections_that_the_server_closes_are_described_as_such(share, shown):
    sent = [stage.requests.sent for stage in stored("quickstart").configurations[0].stages]

    assert (CLOSED in sentence(round(share * sum(sent) / len(sent)))) is shown


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("redis-server", "--port", "{port}", "--save", ""), "redis-server --port {port} --save ''"),
        (("sh", "-c", "exec app; "), "sh -c 'exec app; '"),
        (("a", "it's one"), """a 'it'"'"'s one'"""),
    ],
)
def test_a_command_shows_arguments_that_spaces_would_hide(words, line):
    assert command_line(words) == line
    assert shlex.split(line) == list(words)


def test_services_beside_the_process_are_named_in_the_sentence():
    configuration = stored("quickstart").configurations[0]
    services = {
        "db": ServiceFacts(origin="started", command=("postgres",)),
        "cache": ServiceFacts(origin="started", command=("redis-server",)),
    }
    topology = SystemDescription(kind="process", command=("node", "server.js"), services=services)

    assert described(replace(configuration, topology=topology)).startswith(
        "One process (`node server.js`) beside `db` and `cache`, loaded at "
    )


def test_without_counts_nothing_is_claimed():
    assert "which the server closed" not in sentence(None)
