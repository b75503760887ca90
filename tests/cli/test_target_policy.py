"""Other machines are loaded only after two confirmations. No packet of these tests leaves this machine."""

import shutil
import subprocess
import sys

import pytest

ELSEWHERE = "192.0.2.1"  # for documentation (RFC 5737); nothing is sent to it
SERVER = f"{sys.executable} -m http.server --bind {ELSEWHERE} 8080 >/dev/null 2>&1"


def at(cli, host, **load):
    return cli.write(
        topology={"kind": "external", "url": f"http://{host}:8080"},
        load={"timeout": "1s", "request": {"path": "/"}} | load,
    )


@pytest.mark.parametrize("option", [[], ["--i-am-authorized"]])
def test_a_remote_address_that_is_not_allowed_makes_the_specification_invalid(cli, option):
    done = cli.in_process("execute", at(cli, ELSEWHERE), *option)

    assert done.returncode == 104
    assert "topology.url: 192.0.2.1 is a remote host that load.allow_hosts does not list" in done.stderr
    assert "--i-am-authorized" in done.stderr


def test_an_allowed_address_needs_a_confirmation_on_the_command_line(cli):
    done = cli.in_process("execute", at(cli, ELSEWHERE, allow_hosts=[ELSEWHERE]))

    assert done.returncode == 2
    assert "192.0.2.1 is not this machine: confirm that you are authorized to put load on it" in done.stderr
    assert "run again with --i-am-authorized" in done.stderr
    assert [path.name for path in cli.folder.iterdir()] == ["tiny.yaml"]


def test_hosts_that_redirects_may_lead_to_need_the_confirmation_as_well(cli):
    steps = [{"request": {"name": "home", "path": "/", "follow_redirects": 1}}]
    load = {"scenarios": [{"name": "visit", "steps": steps}], "allow_hosts": [ELSEWHERE]}
    topology = {"kind": "external", "url": "http://127.0.0.1:8080"}
    stages = [{"users_per_s": 1, "duration": "1s"}]
    done = cli.in_process("execute", cli.write(topology=topology, load=load, stages=stages))

    assert done.returncode == 2
    assert "192.0.2.1 is not this machine: confirm that you are authorized to put load on it" in done.stderr


own_network = pytest.mark.skipif(
    not shutil.which("unshare")
    or not shutil.which("ip")
    or subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode != 0,
    reason="this user may not make a network namespace",
)


def run_in_own_network(cli, script) -> subprocess.CompletedProcess:
    """Run a shell's script to its success in network and mount namespaces of its own."""
    words = ["unshare", "-rnm", "sh", "-c", script]
    pipes = {"capture_output": True, "text": True}
    done = subprocess.run(words, cwd=cli.folder, env=cli.environment, check=False, **pipes)
    assert done.returncode == 0, done.stderr
    return done


@own_network
@pytest.mark.parametrize(
    ("engine", "is_tried_without"), [("builtin", True), pytest.param("k6", False, marks=pytest.mark.k6)]
)
def test_with_both_confirmations_it_is_loaded(cli, engine, is_tried_without):
    spec = at(cli, "Far.Example", allow_hosts=["far.example"], engine=engine)
    names = cli.folder / "hosts"
    names.write_text(f"127.0.0.1 localhost\n{ELSEWHERE} far.example\n")
    runner = f"runner execute {spec} --no-lock --no-calibrate --out run"
    script = f"""
        ip link set lo up && ip address add {ELSEWHERE}/32 dev lo || exit 90
        mount --bind {names} /etc/hosts || exit 90
        {SERVER} & server=$!
        {f"{sys.prefix}/bin/{runner} && exit 91" if is_tried_without else "sleep 0.5"}
        {sys.prefix}/bin/{runner} --i-am-authorized; code=$?
        kill $server
        exit $code
    """

    done = run_in_own_network(cli, script)

    refusal = "far.example is 192.0.2.1, which is not this machine: confirm that you are"
    assert (refusal in done.stderr) == is_tried_without
    report = (cli.folder / "run" / "results.json").read_text()
    assert '"address": "192.0.2.1"' in report
    assert "--i-am-authorized" in report


@own_network
@pytest.mark.parametrize("resolve", ["first", "all"])
def test_of_a_name_with_two_addresses_one_or_all_are_used_and_the_report_says_which(cli, resolve):
    topology = {"kind": "external", "url": "http://two.example:8080", "health": "/", "resolve": resolve}
    spec = cli.write(topology=topology, load={"timeout": "5s", "request": {"path": "/"}})
    names = cli.folder / "hosts"
    names.write_text("127.0.0.1 two.example\n127.0.0.2 two.example\n")
    script = f"""
        ip link set lo up || exit 90
        mount --bind {names} /etc/hosts || exit 90
        mkdir -p empty
        serve="{sys.executable} -um http.server --directory empty 8080 --bind"
        $serve 127.0.0.1 >one.up 2>one & one=$!
        $serve 127.0.0.2 >two.up 2>two & two=$!
        until [ -s one.up ] && [ -s two.up ]; do sleep 0.1; done
        {sys.prefix}/bin/runner execute {spec} --no-lock --no-calibrate --out run; code=$?
        kill $one $two
        exit $code
    """

    done = run_in_own_network(cli, script)

    one, two = ((cli.folder / name).read_text().count('"GET / HTTP/1.1" 200') for name in ("one", "two"))
    report = (cli.folder / "run" / "report.md").read_text()
    if resolve == "first":
        assert (one, two) == (52, 0)  # one for the health check, one before the load
        assert "two.example has 2 addresses; all load goes to 127.0.0.1, none to 127.0.0.2" in done.stderr
        assert "all load went to `127.0.0.1`, none to `127.0.0.2`" in report
    else:
        assert (one, two) == (27, 26)
        assert "two.example has 2 addresses; requests go to 127.0.0.1, 127.0.0.2 in turn" in done.stderr
        assert "requests went to `127.0.0.1`, `127.0.0.2` in turn" in report
