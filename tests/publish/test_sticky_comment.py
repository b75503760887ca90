"""Exactly one comment of ours remains, whatever the provider, the network and other jobs do."""

import threading

import pytest

from runner.core.errors import PublishFailed
from runner.publish.api_client import ApiClient
from runner.publish.ci_context import Fork, Target
from runner.publish.providers import open_client, open_thread
from runner.publish.sticky_comment import publish
from tests.publish.described import example
from tests.publish.fake import TOKEN, Fault, State, provider

MARKER = "<!-- loadproof:comment shop -->"
TEXT = f"{MARKER}\n\nIt holds.\n"
DIALECTS = ("github", "gitea", "gitlab")


@pytest.fixture(params=DIALECTS)
def anywhere(request):
    yield from judged(request.param)


@pytest.fixture
def github():
    yield from judged("github")


def judged(dialect):
    with provider(dialect) as state:
        yield state
    assert state.broken_rules == []


def target_of(state: State, **changes) -> Target:
    known = {
        "provider": state.dialect, "api": state.api, "repository": "octo/shop", "number": 7, "fork": None,
        "token": TOKEN, "bot": "", "commit": "", "link": "",
    }  # fmt: skip
    return Target(**(known | changes))


def client_of(state: State, slept: list | None = None, **changes) -> ApiClient:
    client = open_client(target_of(state, **changes))
    client.now = lambda: 1_000_000.0
    client.sleep = (slept if slept is not None else []).append
    return client


def post(state: State, text: str = TEXT, slept: list | None = None, **changes) -> str:
    client = client_of(state, slept, **changes)
    with client.http:
        return publish(open_thread(target_of(state, **changes), client), lambda length: text[:length], MARKER)


def fails(state: State, **changes) -> PublishFailed:
    with pytest.raises(PublishFailed) as caught:
        post(state, **changes)
    assert TOKEN not in f"{caught.value.message}{caught.value.hint}{caught.value.details}"
    return caught.value


def test_a_first_comment_is_created(anywhere):
    assert post(anywhere) == "created"

    assert anywhere.bodies() == [TEXT]


def test_the_second_run_updates_it_in_place(anywhere):
    post(anywhere)

    assert post(anywhere, TEXT + "more") == "updated"
    assert list(anywhere.comments) == [1]
    assert anywhere.bodies() == [TEXT + "more"]


def test_the_same_text_is_not_sent_again(anywhere):
    post(anywhere)
    del anywhere.seen[:]

    assert post(anywhere) == "unchanged"
    assert set(anywhere.methods()) == {"GET"}


def test_a_deleted_comment_is_created_again(anywhere):
    post(anywhere)
    anywhere.comments.clear()

    assert post(anywhere) == "created"
    assert anywhere.bodies() == [TEXT]


def test_a_comment_deleted_just_before_the_update_is_created_again(anywhere):
    post(anywhere)

    def delete_it(method, path):
        if method == "GET" and path.endswith(("comments", "notes")):
            anywhere.comments.pop(1, None)

    anywhere.before_answer = delete_it

    assert post(anywhere, TEXT + "more") == "created"
    assert anywhere.bodies() == [TEXT + "more"]


def test_duplicates_are_deleted_and_the_oldest_is_kept(anywhere):
    for number in range(3):
        anywhere.write("ci-bot", f"{MARKER}\nold {number}")

    assert post(anywhere) == "updated"
    assert anywhere.comments == {1: ("ci-bot", TEXT)}


def test_a_comment_of_another_author_with_our_marker_is_left_alone(anywhere):
    anywhere.write("mallory", f"{MARKER}\nAll is well, merge it.")

    assert post(anywhere) == "created"
    assert anywhere.comments[1] == ("mallory", f"{MARKER}\nAll is well, merge it.")


def test_the_marker_counts_on_the_first_line_only(anywhere):
    anywhere.write("ci-bot", f"Quoting:\n{MARKER}\n")
    anywhere.write("ci-bot", "<!-- loadproof:comment other -->\nAnother experiment.")

    assert post(anywhere) == "created"
    assert len(anywhere.comments) == 3


def test_a_comment_with_windows_line_ends_is_recognised(anywhere):
    anywhere.write("ci-bot", TEXT.replace("\n", "\r\n"))

    assert post(anywhere) == "unchanged"


def test_it_is_found_on_the_third_page(anywhere):
    for number in range(250):
        anywhere.write("people", f"comment {number}")
    anywhere.write("ci-bot", f"{MARKER}\nold")

    assert post(anywhere) == "updated"
    assert anywhere.bodies() == [TEXT]


def test_system_notes_of_gitlab_are_no_comments():
    with provider("gitlab", users={TOKEN: "system"}) as state:
        state.write("system", TEXT)

        assert post(state) == "created"


@pytest.mark.parametrize(
    ("headers", "message", "waited"),
    [
        ({"Retry-After": "7"}, "You have exceeded a secondary rate limit", [7]),
        ({"Retry-After": "Mon, 12 Jan 1970 13:46:45 GMT"}, "slow down", [5]),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000030"}, "API rate limit exceeded", [31]),
        ({}, "You have exceeded a secondary rate limit. Please wait.", [60]),
    ],
    ids=["retry-after", "retry-after-date", "reset", "secondary"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_it_waits_as_long_as_the_provider_demands(github, method, headers, message, waited):
    if method == "PATCH":
        github.write("ci-bot", f"{MARKER}\nold")
    github.faults.append(Fault(method, 403, message, headers))
    slept = []

    assert post(github, slept=slept) in {"created", "updated"}
    assert slept == waited
    assert github.bodies() == [TEXT]


def test_too_many_requests_without_a_time_waits_a_minute_and_then_two(github):
    github.faults += [Fault("GET", 429, "Too many"), Fault("GET", 429, "Too many")]
    slept = []

    post(github, slept=slept)
    assert slept == [60, 120]


def test_gitlabs_own_limit_headers_are_read():
    with provider("gitlab") as state:
        state.faults.append(Fault("POST", 429, "Retry later", {"Retry-After": "3"}))
        slept = []

        assert post(state, slept=slept) == "created"
        assert slept == [3]
        assert len(state.bodies()) == 1


def test_a_pause_beyond_the_limit_is_a_failure_and_not_a_long_sleep(github):
    github.faults.append(Fault("GET", 403, "limit", {"Retry-After": "3600"}))
    slept = []

    error = fails(github, slept=slept)
    assert "demands a pause of 3,600 s" in error.message
    assert slept == []


def test_a_plain_403_is_not_waited_for(github):
    github.forbidden = True
    slept = []

    error = fails(github, slept=slept)
    assert slept == []
    assert "does not let this token comment on octo/shop#7" in error.message
    assert "pull-requests: write" in error.hint


@pytest.mark.parametrize("cut", [False, True], ids=["502", "no-answer"])
def test_a_post_that_took_effect_without_a_response_is_not_repeated(anywhere, cut):
    anywhere.faults.append(Fault("POST", after=True, cut=cut))

    post(anywhere)
    assert anywhere.methods().count("POST") == 1
    assert anywhere.bodies() == [TEXT]


@pytest.mark.parametrize("cut", [False, True], ids=["502", "no-answer"])
def test_a_post_that_took_no_effect_is_repeated_after_a_check(anywhere, cut):
    anywhere.faults.append(Fault("POST", cut=cut))

    assert post(anywhere) == "created"
    methods = anywhere.methods()
    first, second = (index for index, method in enumerate(methods) if method == "POST")
    assert "GET" in methods[first:second]
    assert anywhere.bodies() == [TEXT]


def test_an_update_that_took_effect_without_a_response_is_repeated(anywhere):
    anywhere.write("ci-bot", f"{MARKER}\nold")
    anywhere.faults.append(Fault("PUT" if anywhere.dialect == "gitlab" else "PATCH", after=True))

    assert post(anywhere) == "updated"
    assert anywhere.bodies() == [TEXT]


def test_pauses_after_faults_double_and_end(github):
    github.faults += [Fault("GET", 503)] * 10
    slept = []

    error = fails(github, slept=slept)
    assert slept == [1, 2, 4]
    assert "4 times: it responded with 503 Bad gateway" in error.message


def test_a_text_that_is_too_long_is_shortened_to_the_stated_limit(anywhere):
    anywhere.most = 9_000

    assert post(anywhere, TEXT + "x" * 20_000) == "created"
    assert [len(body) for body in anywhere.bodies()] == [9_000]


def test_an_update_that_is_too_long_is_shortened_too(anywhere):
    post(anywhere)
    anywhere.most = 9_000

    assert post(anywhere, TEXT + "x" * 20_000) == "updated"
    assert [len(body) for body in anywhere.bodies()] == [9_000]


def test_a_provider_that_accepts_no_useful_length_is_a_failure(github):
    github.most = 100

    assert "no comment of a useful length" in fails(github, text=TEXT + "x" * 20_000).message


@pytest.mark.parametrize("dialect", DIALECTS)
def test_two_jobs_at_once_leave_one_comment(dialect):
    both_looked = threading.Barrier(2, timeout=10)
    waited = threading.local()

    def meet(method, path):
        """Both jobs get their first, empty list before either may write."""
        if method == "GET" and path.endswith(("comments", "notes")) and not hasattr(waited, "once"):
            waited.once = True
            both_looked.wait()

    with provider(dialect, before_answer=meet) as state:
        jobs = [threading.Thread(target=post, args=(state, f"{TEXT}job {number}")) for number in range(2)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join(20)

        assert state.methods().count("POST") == 2
        assert len(state.bodies()) == 1
        assert state.broken_rules == []


def test_a_wrong_token_is_an_error_message(anywhere):
    error = fails(anywhere, token="wrong-" + TOKEN)

    assert "does not accept the token" in error.message


def test_an_unknown_pull_request_is_an_error_message(anywhere):
    error = fails(anywhere, number=8)

    assert "octo/shop" in error.message
    assert "--pr" in error.hint


def test_a_token_that_the_server_sends_back_is_masked(github):
    github.faults.append(Fault("GET", 401, f"token {TOKEN} is bad"))

    assert "***" in fails(github).message


def test_an_unreachable_server_is_an_error_message(github):
    error = fails(github, api="http://127.0.0.1:9")

    assert error.message.startswith("127.0.0.1 cannot be reached, after 4 tries: ConnectError")
    assert "HTTPS_PROXY" in error.hint


def test_the_author_of_an_apps_token_comes_from_graphql():
    with provider(users={TOKEN: "deploy[bot]"}, apps={TOKEN}) as state:
        post(state)
        assert post(state, TEXT + "more") == "updated"

        assert state.bodies("deploy[bot]") == [TEXT + "more"]
        assert state.broken_rules == []


def test_without_graphql_the_workflows_own_bot_is_the_author():
    with provider(users={TOKEN: "github-actions[bot]"}, apps={TOKEN}, viewer=False) as state:
        assert post(state, bot="github-actions[bot]") == "created"
        assert post(state, bot="github-actions[bot]") == "unchanged"
        assert "does not let this token" in fails(state).message


def test_the_workflow_token_of_gitea_needs_no_user():
    with provider("gitea", users={TOKEN: "gitea-actions"}, apps={TOKEN}) as state:
        assert post(state, bot="gitea-actions") == "created"
        assert post(state, bot="gitea-actions") == "unchanged"


def test_a_renamed_repository_is_followed_on_its_own_host(github):
    assert post(github, repository="octo/old") == "created"
    assert github.bodies() == [TEXT]


def test_the_token_is_not_sent_to_another_host(github):
    with provider() as other:
        github.moved = other.url
        error = fails(github, repository="octo/old")

        assert "points to another host (http://127.0.0.1)" in error.message
        assert other.seen == []


def test_redirects_in_circles_end(github):
    github.faults += [Fault("GET", 302, "", {"Location": "/user"})] * 5

    assert "redirects in circles" in fails(github).message


def test_a_next_page_on_another_host_is_not_requested(github):
    with provider() as other:
        github.next_page = other.url

        assert "points to another host" in fails(github).message
        assert other.seen == []


def pull(number, sha):
    found = example("pull-request-simple-items")[0]
    return found | {"number": number, "head": found["head"] | {"sha": sha}}


def test_the_pull_request_of_a_fork_is_looked_up_at_github():
    with provider(pulls=[pull(3, "old"), pull(7, "abc")]) as state:
        assert post(state, number=None, fork=Fork("forker", "topic/x", "abc")) == "created"
        assert "head=forker%3Atopic%2Fx" in state.seen[0][1]
        assert (
            "no open pull request of forker:topic/x"
            in fails(state, number=None, fork=Fork("forker", "topic/x", "newer")).message
        )
