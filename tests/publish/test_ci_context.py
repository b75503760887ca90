"""Provider, repository, number and token come from the CI's environment, and from nowhere unsafe."""

import json

import pytest

from runner.core.errors import PublishFailed, UsageError
from runner.publish.ci_context import CommentOptions, Fork, find_commit, find_link, find_target

SHA = "0123456789abcdef0123456789abcdef01234567"
ACTIONS = {
    "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "octo/shop", "GITHUB_API_URL": "https://api.github.com",
    "GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "99", "GITHUB_TOKEN": "secret",
    "GITHUB_SHA": "f" * 40,
}  # fmt: skip
GITLAB = {
    "GITLAB_CI": "true", "CI_API_V4_URL": "https://git.example.org/api/v4", "CI_MERGE_REQUEST_IID": "7",
    "CI_MERGE_REQUEST_PROJECT_ID": "42", "CI_COMMIT_SHA": SHA, "CI_JOB_URL": "https://git.example.org/-/jobs/1",
    "GITLAB_TOKEN": "secret",
}  # fmt: skip
PULL = {"pull_request": {"number": 7, "head": {"sha": SHA}}}
FOLLOWED = {
    "workflow_run": {
        "id": 5, "event": "pull_request", "head_sha": SHA, "head_branch": "topic",
        "head_repository": {"owner": {"login": "forker"}},
    }
}  # fmt: skip


@pytest.fixture
def actions(tmp_path):
    def environ(event, **more):
        path = tmp_path / "event.json"
        path.write_text(event if isinstance(event, str) else json.dumps(event))
        return ACTIONS | {"GITHUB_EVENT_PATH": str(path)} | more

    return environ


def test_github_actions(actions):
    target = find_target(CommentOptions(), actions(PULL))

    assert (target.provider, target.api, target.repository, target.number) == (
        "github", "https://api.github.com", "octo/shop", 7,
    )  # fmt: skip
    assert target.commit == SHA
    assert target.link == "https://github.com/octo/shop/actions/runs/99"
    assert target.bot == "github-actions[bot]"


def test_enterprise_server_has_its_own_api(actions):
    environ = actions(PULL, GITHUB_API_URL="https://ghe.example.org/api/v3")

    assert find_target(CommentOptions(), environ).api == "https://ghe.example.org/api/v3"
    assert find_target(CommentOptions(), environ).provider == "github"


@pytest.mark.parametrize(
    ("more", "bot"),
    [
        ({"GITEA_ACTIONS": "true"}, "gitea-actions"),
        ({"FORGEJO_ACTIONS": "true"}, "forgejo-actions"),
        ({}, "gitea-actions"),
    ],
)
def test_gitea_and_forgejo_are_recognized_by_their_variables_or_their_api(actions, more, bot):
    target = find_target(
        CommentOptions(), actions(PULL, GITHUB_API_URL="https://git.example.org/api/v1", **more)
    )

    assert (target.provider, target.api, target.bot) == ("gitea", "https://git.example.org/api/v1", bot)


def test_gitlab_ci():
    target = find_target(CommentOptions(), GITLAB)

    assert (target.provider, target.repository, target.number, target.commit) == ("gitlab", "42", 7, SHA)
    assert target.link == "https://git.example.org/-/jobs/1"


def test_a_comment_on_a_pull_request_names_it(actions):
    assert find_target(CommentOptions(), actions({"issue": {"number": 9, "pull_request": {}}})).number == 9


def test_a_run_that_follows_a_forks_run_takes_the_fork_from_githubs_event(actions):
    target = find_target(CommentOptions(), actions(FOLLOWED))

    assert (target.number, target.fork) == (None, Fork("forker", "topic", SHA))
    assert target.commit == SHA
    assert target.link.endswith("/actions/runs/5")


@pytest.mark.parametrize("event", [{}, {"ref": "refs/heads/main"}, {"issue": {"number": 9}}, "{broken", "[]"])
def test_outside_of_a_pull_request_there_is_nothing_to_comment_on(actions, event):
    with pytest.raises(UsageError, match="no pull request"):
        find_target(CommentOptions(), actions(event))


def test_options_take_precedence_over_the_environment(actions):
    asked = CommentOptions(
        "gitlab", "https://git.example.org", "group/sub/shop", 3, "abcdef1", "https://reports.example.org"
    )
    target = find_target(asked, actions(PULL, GITLAB_TOKEN="x"))

    assert target.api == "https://git.example.org/api/v4"
    assert (target.repository, target.number, target.commit) == ("group/sub/shop", 3, "abcdef1")
    assert target.link == "https://reports.example.org"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (CommentOptions(), "the pull request is not known"),
        (CommentOptions("github", number=1), "repository is not known"),
        (CommentOptions("github", repository="a b", number=1), "is no repository"),
        (CommentOptions("github", repository="../x?", number=1), "is no repository"),
        (CommentOptions("gitea", repository="a/b", number=1), "address of the API is not known"),
        (CommentOptions("gitea", "http://git.example.org", "a/b", 1), "unencrypted"),
        (CommentOptions("gitea", "file:///etc/passwd", "a/b", 1), "no address of an API"),
        (CommentOptions("gitea", "https://me:pass@git.example.org", "a/b", 1), "no address of an API"),
        (CommentOptions("github", repository="a/b", number=1, link="javascript:alert(1)"), "no valid link"),
        (CommentOptions("github", repository="a/b", number=1, link="https://x.org/) @all"), "no valid link"),
    ],
)
def test_invalid_options_are_refused(asked, says):
    with pytest.raises(UsageError) as caught:
        find_target(asked, {"GITHUB_TOKEN": "x", "GITEA_TOKEN": "x"})

    assert says in caught.value.message
    assert "pass" not in caught.value.message.replace("passwd", "")


@pytest.mark.parametrize("token", ["", "  ", "a b", "a\nb", "tök", "a\x00"])
def test_the_error_for_an_invalid_token_does_not_contain_it(token):
    with pytest.raises(PublishFailed) as caught:
        find_target(CommentOptions("github", repository="a/b", number=1), {"GITHUB_TOKEN": token})

    assert "GITHUB_TOKEN" in caught.value.hint
    assert not token.strip() or token not in caught.value.message + caught.value.hint


def test_a_representation_does_not_contain_the_token():
    assert "secret" not in repr(find_target(CommentOptions(), GITLAB))


def test_an_invalid_commit_is_ignored():
    assert find_commit(CommentOptions(commit="@everyone"), {}) == ""
    assert find_commit(CommentOptions(), {"CI_COMMIT_SHA": SHA}) == SHA
    assert find_link(CommentOptions(), {}) == ""
