"""`runner comment`: what it prints, what it writes, and what it never reveals."""

import json
import os
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from runner.store.results_file import encode_results, read_results
from tests.publish.fake import TOKEN, Fault, provider

KEPT = Path(__file__).parents[2] / "reports" / "single-process"
CI = ("CI", "GITHUB_", "GITLAB_", "GITEA_", "FORGEJO_", "GH_TOKEN")
BAD = """version: 1
name: x
topology: {kind: external, url: "http://127.0.0.1:1"}
stages: [{rps: x, duration: 1s}]
"""


@pytest.fixture(autouse=True)
def outside_of_ci(monkeypatch):
    for name in [name for name in os.environ if name.startswith(CI)]:
        monkeypatch.delenv(name)


@pytest.fixture
def run(tmp_path):
    """A copy of a real run's folder."""
    folder = tmp_path / "run"
    shutil.copytree(KEPT, folder)
    return folder


@pytest.fixture
def github(monkeypatch, tmp_path):
    """A pull request in GitHub Actions, as its environment describes it."""
    with provider() as state:
        event = tmp_path / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 7, "head": {"sha": "a" * 40}}}))
        for name, value in {
            "ACTIONS": "true", "REPOSITORY": "octo/shop", "API_URL": state.api, "TOKEN": TOKEN,
            "SERVER_URL": "https://github.com", "RUN_ID": "99", "EVENT_PATH": str(event),
            "STEP_SUMMARY": str(tmp_path / "summary.md"),
        }.items():  # fmt: skip
            monkeypatch.setenv(f"GITHUB_{name}", value)
        yield state
        assert state.broken_rules == []


def output_of(done) -> str:
    text = done.stdout + done.stderr
    assert TOKEN not in text
    return text


def test_in_actions_it_needs_only_the_run(cli, run, github, tmp_path):
    done = cli.in_process("comment", run)

    assert (done.returncode, done.stdout) == (0, "comment created on octo/shop#7\n")
    (body,) = github.bodies()
    assert body.startswith("<!-- loadproof:comment single-process -->\n\n### ")
    assert f"commit {'a' * 40}" in body
    assert "[report](https://github.com/octo/shop/actions/runs/99)" in body
    assert "| 4,000 RPS" in (tmp_path / "summary.md").read_text()
    assert cli.in_process("comment", run).stdout == "comment unchanged on octo/shop#7\n"


@pytest.mark.parametrize("name", ["gitea", "gitlab"])
def test_options_name_the_pull_request_elsewhere(cli, run, monkeypatch, name):
    with provider(name) as state:
        monkeypatch.setenv(f"{name.upper()}_TOKEN", TOKEN)
        where = ("--provider", name, "--api-url", state.url, "--repository", "octo/shop", "--pr", 7)
        done = cli.in_process("comment", run, *where, "--baseline", KEPT)

        assert done.returncode == 0, done.stderr
        assert "Compared with the baseline" in state.bodies()[0]


def test_a_dry_run_prints_the_comment_and_sends_nothing(cli, run, github, tmp_path):
    done = cli.in_process("comment", run, "--dry-run")

    assert done.stdout.startswith("<!-- loadproof:comment")
    assert github.seen == []
    assert not (tmp_path / "summary.md").exists()


def test_summary_only_needs_no_token(cli, run, github, tmp_path, monkeypatch):
    monkeypatch.delenv("GITHUB_TOKEN")
    done = cli.in_process("comment", run, "--summary-only")

    assert done.returncode == 0
    assert github.seen == []
    assert "4,000 RPS" in (tmp_path / "summary.md").read_text()


def test_a_comment_that_cannot_be_posted_is_written_to_a_file(cli, run, github):
    github.forbidden = True
    done = cli.in_process("comment", run)

    assert done.returncode == 0
    assert "does not let this token comment on octo/shop#7" in output_of(done)
    assert f"the text of the comment is in {run / 'comment.md'}" in done.stderr
    assert (run / "comment.md").read_text().startswith("<!-- loadproof:comment single-process -->")


def test_required_fails_if_the_comment_cannot_be_posted(cli, run, github):
    github.forbidden = True

    assert cli.in_process("comment", run, "--required").returncode == 3
    assert (run / "comment.md").exists()


def test_a_token_in_a_servers_response_is_masked(cli, run, github):
    github.faults += [Fault("GET", 401, f"Bad credentials {TOKEN}")]

    assert "***" in output_of(cli.in_process("comment", run))


def test_a_token_in_the_text_is_masked(cli, run, github):
    results = read_results(run)
    command = f"runner execute --set app.env.TOKEN={TOKEN}"
    results = replace(results, run=replace(results.run, command=command))
    (run / "results.json").write_bytes(encode_results(results))

    cli.in_process("comment", run)
    assert TOKEN not in github.bodies()[0]
    assert "TOKEN=***" in github.bodies()[0]


def test_a_missing_token_is_reported_with_its_variables(cli, run, github, monkeypatch):
    monkeypatch.delenv("GITHUB_TOKEN")
    done = cli.in_process("comment", run)

    assert (done.returncode, "GITHUB_TOKEN or GH_TOKEN" in done.stderr) == (0, True)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run / "results.json").unlink(), "never ended"),
        (
            lambda run: (run / "results.json").write_text('{"schema_version": 9}'),
            "newer version of Loadproof",
        ),
        (
            lambda run: (run / "results.json").write_text('{"schema_version": 1}'),
            "does not contain the results of a run",
        ),
        (shutil.rmtree, "there is no run at"),
    ],
    ids=["killed", "newer", "edited", "gone"],
)
def test_a_run_that_cannot_be_read_is_reported(cli, run, github, spoil, message):
    spoil(run)
    done = cli.in_process("comment", run)

    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert github.seen == []


def test_outside_of_ci_the_options_are_required(cli, run):
    done = cli.in_process("comment", run)

    assert (done.returncode, "give --provider, --repository and --pr" in done.stderr) == (2, True)


def test_problems_of_a_specification_are_annotated_only_in_actions(cli, tmp_path, monkeypatch):
    spec = tmp_path / "specs" / "bad.yaml"
    spec.parent.mkdir()
    spec.write_text(BAD)
    assert "::error" not in cli.in_process("validate", spec).stderr

    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    done = cli.in_process("validate", spec)

    assert done.returncode == 104
    assert "\n::error file=specs/bad.yaml,line=4,col=16,title=" in "\n" + done.stderr
