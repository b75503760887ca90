"""Load from the nodes of a real swarm: one schedule by clocks that differ, and nodes that are lost."""

import json
import zipfile

import pytest
import trustme

from infra.swarm.namespaces import OPERATOR
from runner.stack.swarm.naming import TASK_OF
from tests.swarm.conftest import SKEWS_S, left_on
from tests.swarm.runs import TLS_PORT, runner, running, server, wait_for_requests

EXTERNAL = """
version: 1
name: nodes
topology: {{kind: external, url: "{url}", health: /}}
load: {{nodes: {nodes}, allow_hosts: ["{host}"], request: {{path: /}}}}
cooldown: 0s
stages: {stages}
"""
STAGES = """
  - {name: whole, rps: 150, duration: 2s, warmup: 1s}
  - {name: broken, rps: 45, duration: 8s}
  - {name: alone, rps: 20, duration: 1s}
  - {name: unmanaged, rps: 20, duration: 60s}
"""
"""The second one is long enough for the engines to notice that a node is gone: until then they try for 10 s
to reach it before they bring up the network of a new agent."""


def external(swarm, url, *, nodes=3, stages="[{rps: 10, duration: 1s}]"):
    return EXTERNAL.format(url=url, host=swarm.address(OPERATOR), nodes=nodes, stages=stages)


@pytest.fixture(scope="module")
def losses(nodes, tmp_path_factory):
    """A run by TLS that loses a node and another one's agent in its second stage, the manager in its last."""
    folder, authority = tmp_path_factory.mktemp("run"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    secure = f"https://{nodes.address(OPERATOR)}:{TLS_PORT}"
    specification = external(nodes, secure, stages=STAGES).replace(
        "health: /", "health: /, tls: {ca_file: ca.pem}"
    )
    with pytest.MonkeyPatch.context() as patch, server(nodes, folder, authority):
        patch.setenv("DOCKER_HOST", nodes.url(nodes.manager))
        words = ("--i-am-authorized", "--no-calibrate")
        with running(nodes, folder, specification, *words) as run:
            run.wait_for("· broken: offering")
            wait_for_requests(folder, 10)
            nodes.unplug("node-3")  # first, so that no connection is closed
            agent = nodes.docker("node-2", "ps", "--quiet", "--filter", f"label={TASK_OF}")
            nodes.docker("node-2", "kill", agent)
            nodes.kill("node-3")
            run.wait_for("· unmanaged: offering")
            wait_for_requests(folder, 10)
            nodes.kill(nodes.manager)
            status = run.wait()
    nodes.restore()
    return run, status


def ends(load):
    """How many requests ended in each way."""
    counts = [
        {name: second.get(name, 0) for name in ("scheduled", "succeeded", "dropped")}
        for second in load["seconds"]
    ]
    return {name: sum(one[name] for one in counts) for name in counts[0]}


def test_nodes_offer_one_schedule_whose_counts_are_exact(losses):
    run, _ = losses
    whole = run.trials[0]["load"]

    assert whole["planned"] == 300
    assert ends(whole)["scheduled"] == 300
    assert [(node["node"], node["planned"]) for node in whole["nodes"]] == [
        ("node-1", 100),
        ("node-2", 100),
        ("node-3", 100),
    ]


def test_the_offset_of_each_clock_is_right_within_the_stated_error(losses):
    run, _ = losses
    for skew_s, node in zip(SKEWS_S, run.trials[0]["load"]["nodes"], strict=True):
        clock = node["clock"]
        assert abs(clock["offset_ns"] - skew_s * 10**9) <= clock["error_ns"]
        assert abs(clock["drift_ns"]) <= clock["error_ns"] + clock["error_after_ns"]
        assert 0 < node["start_error_ns"] <= clock["error_ns"] + abs(clock["drift_ns"])


def test_nodes_that_are_one_machine_know_of_one_another(losses):
    run, _ = losses
    nodes = run.trials[0]["topology"]["nodes"]

    assert nodes["node-1"]["same_machine"] == ["node-2", "node-3"]
    assert "All 3 nodes are one machine: they share its processors." in (run.folder / "report.md").read_text()


@pytest.mark.parametrize(("name", "why"), [("node-3", "silent for 3 s"), ("node-2", "exited with 137")])
def test_a_node_without_power_or_without_its_agent_is_a_lost_generator(losses, name, why):
    run, _ = losses
    broken, stage = run.trials[1], run.stages[1]
    lost = next(node for node in broken["load"]["nodes"] if node["node"] == name)

    assert why in lost["lost"]
    missing = f"{lost['not_offered']:,} requests not offered or without a known end"
    sentence = f"generator lost on {name}: {lost['lost']}; {missing}"
    assert sentence in [event["message"] for event in broken["events"]]
    assert stage["validity"]["status"] == "invalid"
    assert sentence in stage["validity"]["reasons"]


def test_the_others_go_on_and_every_request_is_in_one_count(losses):
    run, _ = losses
    broken, alone = run.trials[1:3]

    counts = ends(broken["load"])
    assert counts["scheduled"] == broken["load"]["planned"] == 360
    assert counts["dropped"] >= sum(node.get("not_offered", 0) for node in broken["load"]["nodes"]) > 0
    assert broken["load"]["nodes"][0]["scheduled"] == 120
    assert [node["node"] for node in alone["load"]["nodes"]] == ["node-1", "node-2"]
    assert ends(alone["load"])["scheduled"] == 20
    assert "node-2 was lost before and takes part again, with a new agent" in run.stages[2]["notes"]


def test_a_run_whose_manager_is_lost_keeps_what_was_measured(losses, swarm):
    run, status = losses

    assert status == 3
    assert "left on the swarm: objects of the swarm: " in run.text
    assert f"hint: `runner execute --resume {run.folder}` then runs what is missing" in " ".join(
        run.text.split()
    )
    assert f"error: the hub on {swarm.manager} was lost: " in run.text
    assert [stage["status"] for stage in run.stages] == ["complete", "complete", "complete", "aborted"]
    (event,) = run.trials[3]["events"]
    assert event["message"].startswith("generator lost on node-1, node-2: the hub on node-1 was lost: ")
    assert run.stages[3]["validity"]["reasons"][0] == event["message"]
    assert left_on(swarm)
    assert runner("clean")[0] == 0
    # the fixture waits until nothing is left


def test_constraints_that_no_node_meets_are_named(swarm, tmp_path):
    with server(swarm, tmp_path) as url:
        specification = external(swarm, url, nodes="[node.labels.role==load]")
        with running(swarm, tmp_path, specification, "--i-am-authorized") as run:
            status = run.wait()

    assert status == 3
    assert "none of the 3 nodes of the swarm is ready and meets node.labels.role==load" in run.text


def test_nothing_is_left_of_a_runner_that_was_killed(swarm, tmp_path):
    stages = "[{rps: 20, duration: 60s}]"
    with server(swarm, tmp_path) as url:
        specification = external(swarm, url, nodes=1, stages=stages)
        with running(swarm, tmp_path, specification, "--i-am-authorized", "--no-calibrate") as run:
            run.wait_for("offering")
            wait_for_requests(tmp_path, 10)
            assert left_on(swarm)
            run.kill()  # the fixture waits until nothing is left


SECRET = "s3cr3t-0f-th3-m3m0ry-run"
GROWS = """
import http.server
assert open('/run/secrets/token').read() == open('/own/token').read()[::-1]
kept = []
class Grows(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kept.append(bytes(range(256)) * 4096)
        self.send_response(200)
        self.send_header('content-length', '0')
        self.end_headers()
http.server.ThreadingHTTPServer(('', 8080), Grows).serve_forever()
"""
OUT_OF_MEMORY = """
version: 1
name: memory
topology:
  kind: swarm
  path: published
  secrets: {{token: {{env: LP_TOKEN}}}}
  configs: {{reversed: {{file: reversed}}}}
  app: {{image: "loadproof-base/python:bookworm", port: 8080, health: /, memory: 40MiB, secrets: [token],
         configs: {{reversed: /own/token}}, nodes: [node.hostname==node-2], command: {command}}}
load: {{nodes: [node.hostname==node-3], request: {{path: /}}}}
stages: [{{rps: 30, duration: 30s}}]
"""


@pytest.fixture(scope="module")
def memory(nodes, tmp_path_factory):
    """A run whose app knows a secret, and grows until it is killed."""
    folder = tmp_path_factory.mktemp("memory")
    (folder / "reversed").write_text(SECRET[::-1])
    specification = OUT_OF_MEMORY.format(command=json.dumps(["python3", "-c", GROWS]))
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", nodes.url(nodes.manager))
        patch.setenv("LP_TOKEN", SECRET)
        with running(nodes, folder, specification, "--no-calibrate") as run:
            run.wait_for("offering")
            shown = [
                nodes.docker(node, "inspect", *ids)
                for node in nodes.nodes
                if (ids := nodes.docker(node, "ps", "--all", "--quiet").split())
            ]
            shown.append(json.dumps(nodes.get(nodes.manager, "/services")))
            status = run.wait()
    return run, status, "".join(shown)


def test_a_part_without_memory_is_the_limit_with_its_node(memory):
    run, status, _ = memory
    (stage,) = run.stages
    (finding, *_) = stage["verdict"]["findings"]
    assert status == 4  # because of the invalid stage
    assert (finding["code"], finding["node"]) == ("memory-limited", "node-2")
    assert finding["summary"].startswith("the app on node-2 was killed by SIGKILL, most likely at its memory")
    assert finding["evidence"][0]["name"] == "processes killed for lack of memory (host) on node-2"
    assert finding["evidence"][0]["value"] >= 1


def test_a_published_port_has_its_forwarder_on_its_node(memory):
    run, _, _ = memory
    (stage,) = run.stages
    roles = {node["name"]: node["cpu_cores"] for node in stage["nodes"]}

    assert "forwarder" in roles["node-2"]
    assert "forwarder" not in roles["node-3"]
    assert stage["cpu_cores"]["daemon"] is not None


def test_a_secret_is_in_no_file_of_a_run_and_in_nothing_that_engines_show(memory):
    run, _, shown = memory
    files = [run.output, *(path for path in run.folder.rglob("*") if path.is_file())]

    assert "/own/token" in shown
    assert len(files) > 5
    for text in (shown.encode(), *(path.read_bytes() for path in files), *unpacked(run.folder)):
        assert SECRET.encode() not in text


def unpacked(folder):
    """Return the files in the archives of a folder."""
    for path in folder.rglob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
