"""Users of scenarios against real servers: what they send, and that everything is counted once."""

import socket
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.load.checks import CheckOrder
from runner.load.scenario_order import (
    AllowedHost,
    ChooseStep,
    Condition,
    ExtractOrder,
    ForEachStep,
    IfStep,
    PauseStep,
    ProbabilityStep,
    RepeatStep,
    RequestStep,
    WorkerScenario,
)
from runner.load.scenario_part import request_steps
from tests.load.scenario_stage import CUT, MS, RESET, SILENT, Server, Steps, loop_of, offered, ok, to
from tests.servers.scripted import scripted

ONE = {"rate": 10.0, "duration": 0.1}
"""A stage with one user."""
TOKEN = ExtractOrder("token", json="$.token")


def run(server: Server, make_steps, **changes):
    """Let users go through the steps that a function makes; returns what happened."""
    steps = Steps()
    made = make_steps(steps)
    with scripted(server) as port:
        return offered(port, made, steps, **(ONE | changes))


def test_each_step_inserts_what_earlier_ones_extracted():
    server = Server({"/login": ok('{"token": "a b", "cart": {"id": 7, "items": ["x"]}}', "X-Next: /n")})
    cart = ExtractOrder("cart", json="$.cart")
    outcome = run(
        server,
        lambda steps: [
            steps.send("/login", TOKEN, cart, ExtractOrder("next", header="x-next")),
            steps.send(
                "/item/${token:path}?c=${cart.id:query}", headers="Authorization: Bearer ${token:header}\r\n"
            ),
            steps.send(
                "/pay", method="POST", body="", headers="X-Cart: ${cart:header}\r\nX-Next: ${next:header}\r\n"
            ),
        ],
    )
    assert server.received() == ["GET /login", "GET /item/a%20b?c=7", "POST /pay"]
    assert server.received("authorization", "x-cart", "x-next")[1:] == [
        ("Bearer a b", None, None),
        (None, '{"id":7,"items":["x"]}', "/n"),
    ]
    assert (outcome.users["visit"]["succeeded"], outcome.whole["succeeded"]) == (1, 3)


@pytest.mark.parametrize(
    ("extract", "reason"),
    [
        (TOKEN, "`token` not found in the response to login"),
        (ExtractOrder("t", json="$.x", header=""), "`t` not found in the response to login"),
        (ExtractOrder("t", regex="<(a+)>"), "`t` not found in the response to login"),
        (ExtractOrder("t", header="location"), "`t` not found in the response to login"),
        (ExtractOrder("t", cookie="sid"), "`t` not found in the response to login"),
    ],
)
def test_what_cannot_be_extracted_ends_the_scenario_at_its_step(extract, reason):
    server = Server({"/login": ok('{"y": 1}')})
    outcome = run(server, lambda steps: [steps.send("/login", extract, name="login"), steps.send("/never")])
    assert server.received() == ["GET /login"]
    assert outcome.parts["visit/login"]["failed"] == outcome.users["visit"]["failed"] == {"extract_failed": 1}
    assert [(one.failure, one.failed_checks) for one in outcome.samples] == [("extract_failed", reason)]


def test_text_with_too_many_html_entities_is_refused():
    server = Server({"/page": ok("'" + "&amp;" * 250_000 + "'")})
    extract = ExtractOrder("t", regex="'([^']*)'")
    outcome = run(server, lambda steps: [steps.send("/page", extract, name="page")])
    assert outcome.failures == {"extract_failed": 1}
    reason = "`t` not found in the response to page: the text with HTML entities is longer than 1024 KiB"
    assert outcome.samples[0].failed_checks == reason


def test_optional_values_and_defaults_are_no_failures():
    extracts = ExtractOrder("a", json="$.a", optional=True), ExtractOrder("b", regex="(b)", default=("none",))
    present = IfStep((Condition("a"),), (), ())
    outcome = run(
        Server({"/": ok("{}")}),
        lambda steps: [
            steps.send("/", *extracts),
            IfStep(present.conditions, (steps.send("/never"),), (steps.send("/else/${b:path}"),)),
        ],
    )
    assert outcome.failures == {}
    assert outcome.parts["visit/s2"]["succeeded"] == 1


def test_cookies_belong_to_one_user_and_no_other():
    server = Server({"/login": lambda n: ok("", f"Set-Cookie: sid={n}; Path=/", "Set-Cookie: a=b; Path=/x")})
    run(server, lambda steps: [steps.send("/login"), *(steps.send("/x") for _ in range(3))], rate=100.0)
    cookies = Counter((method, target, headers.get("cookie")) for method, target, headers, _ in server.log)
    assert cookies.pop(("GET", "/login", None)) == 10
    assert len(cookies) == 10
    assert set(cookies.values()) == {3}
    assert all(cookie.startswith("a=b; sid=") for _, _, cookie in cookies)


def test_an_own_cookie_header_is_joined_with_the_users_cookies():
    server = Server({"/login": ok("", "Set-Cookie: sid=1; Path=/", "Set-Cookie: lang=en; Path=/")})
    run(
        server,
        lambda steps: [
            steps.send("/login"),
            steps.send("/x", headers="Cookie: lang=de; more=1\r\n", own_cookies=True),
        ],
    )
    assert server.received("cookie")[1] == ("lang=de; more=1; sid=1",)


def test_foreign_cookies_are_not_kept():
    server = Server(
        {"/": ok("", "Set-Cookie: evil=1; Domain=example.org", "Set-Cookie: evil=2; Domain=0.0.1")}
    )
    run(server, lambda steps: [steps.send("/"), steps.send("/x")])
    assert server.received("cookie") == [(None,), (None,)]


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        ("301 Moved", "POST", "GET"), ("302 Found", "POST", "GET"), ("303 See Other", "POST", "GET"),
        ("307 Temporary", "POST", "POST"), ("308 Permanent", "POST", "POST"), ("303 See Other", "PUT", "GET"),
        ("302 Found", "PUT", "PUT"), ("303 See Other", "HEAD", "HEAD"),
    ],
)  # fmt: skip
def test_redirects_are_followed_as_browsers_do(status, method, then):
    server = Server({"/a": to("b?x=1", status=status), "/b": ok("" if method == "HEAD" else "done")})
    outcome = run(
        server,
        lambda steps: [
            steps.send(
                "/a",
                method=method,
                body="text" if method != "HEAD" else "",
                follow=1,
                headers="Content-Type: text/plain\r\nAuthorization: x\r\n",
            ),
        ],
    )
    *_, (method, target, headers, body) = server.log
    assert f"{method} {target}" == f"{then} /b?x=1"
    assert (body == b"text") is ("content-type" in headers) or then == "HEAD"
    assert headers["authorization"] == "x"
    assert outcome.whole["succeeded"] == 2 or then == "HEAD"
    assert outcome.users["visit"]["succeeded"] == 1


def test_cookies_set_on_the_way_are_sent_on():
    server = Server({"/a": to("/b", "Set-Cookie: one=1"), "/b": to("/c", "Set-Cookie: two=2")})
    extract = ExtractOrder("two", cookie="two")
    run(server, lambda steps: [steps.send("/a", extract, follow=5), steps.send("/${two:path}")])
    assert server.received() == ["GET /a", "GET /b", "GET /c", "GET /2"]
    assert server.received("cookie") == [(None,), ("one=1",), ("one=1; two=2",), ("one=1; two=2",)]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/a", "there are more redirects than follow_redirects allows"),
        (
            "http://elsewhere.example/x",
            "the host elsewhere.example is neither the target's nor in load.allow_hosts",
        ),
        ("ftp://127.0.0.1/", "it does not lead to a URL of http or https"),
        ("http://[::1/", "it does not lead to a URL"),
        ("http://127.0.0.1:99999/", "it does not lead to a URL"),
        ("http://127.0.0.1:0/", "it does not lead to a URL of http or https"),
    ],
)
def test_redirects_that_cannot_be_followed_fail(location, reason):
    server = Server({"/a": to(location)})
    outcome = run(server, lambda steps: [steps.send("/a", follow=3)])
    assert outcome.failures == outcome.users["visit"]["failed"] == {"bad_redirect": 1}
    assert outcome.samples[0].failed_checks.endswith(reason)
    assert len(server.log) == (4 if location == "/a" else 1)


def test_a_redirect_without_a_location_fails():
    server = Server({"/a": ok("", status="302 Found")})
    outcome = run(server, lambda steps: [steps.send("/a", follow=3)])
    assert outcome.samples[0].failed_checks == "the redirect has no Location"


def test_credentials_are_not_sent_to_another_server():
    here, there = Server(), Server()
    steps = Steps()
    with scripted(here) as port, scripted(there) as other:
        here.answers["/a"] = to(f"http://other.test:{other}/b", "Set-Cookie: sid=1")
        hosts = (AllowedHost("other.test", int(socket.AF_INET), "127.0.0.1"),)
        made = [steps.send("/a", follow=1, headers="Authorization: secret\r\nCookie: own=1\r\nX: kept\r\n")]
        offered(port, made, steps, hosts=hosts, **ONE)
    assert there.received("authorization", "cookie", "x", "host") == [
        (None, None, "kept", f"other.test:{other}")
    ]


def test_a_step_goes_to_an_extracted_url():
    server = Server({"/files": ok("", "Location: files/7?a=b c", status="201 Created")})
    location = ExtractOrder("to", header="location")
    run(
        server,
        lambda steps: [
            steps.send("/files", location, method="POST", checks=CheckOrder(statuses=(201,))),
            steps.send("${to:url}", method="PATCH", body="x", url=True),
            steps.send("/end"),
        ],
    )
    assert server.received() == ["POST /files", "PATCH /files/7?a=b%20c", "GET /end"]


def test_a_value_that_would_split_a_header_is_not_sent():
    server = Server({"/": ok('{"token": "a\\r\\nX-Evil: 1"}')})
    outcome = run(
        server,
        lambda steps: [
            steps.send("/", TOKEN),
            steps.send("/x", headers="X-Token: ${token:header}\r\n"),
        ],
    )
    assert server.received() == ["GET /"]
    assert outcome.failures == {"extract_failed": 1}
    assert "`token` cannot be sent in a header" in outcome.samples[0].failed_checks


def test_loops_and_branches():
    server = Server({"/": ok('{"items": [1, 2, 3], "state": "open"}')})
    outcome = run(
        server,
        lambda steps: [
            steps.send(
                "/",
                ExtractOrder("items", json="$.items", pick="all", entries=True),
                ExtractOrder("state", json="$.state"),
            ),
            RepeatStep(2, (ForEachStep("items", "item", (steps.send("/item/${item:path}"),)),)),
            IfStep(
                (Condition("state", values=("open", "new")),), (steps.send("/open"),), (steps.send("/never"),)
            ),
            RepeatStep(9, (steps.send("/again"),), until=(Condition("state"),)),
        ],
    )
    assert server.received() == [
        "GET /",
        *(f"GET /item/{n}" for n in (1, 2, 3, 1, 2, 3)),
        "GET /open",
        "GET /again",
    ]
    assert outcome.whole["succeeded"] == 9


def test_connections_belong_to_users_and_then_to_later_ones():
    def visit(steps):
        return [steps.send("/a"), PauseStep(1, MS, MS), steps.send("/b")]

    kept, own = Server(), Server()
    run(kept, visit, rate=1000.0)
    run(own, visit, rate=1000.0, per_user=True)
    assert len(own.connections) == 100
    assert 1 <= len(kept.connections) <= 100
    assert len(own.log) == len(kept.log) == 200


def test_a_user_in_endless_loops_leaves_the_others_their_turn():
    server = Server({"/list": ok(str(list(range(1000))))})
    steps = Steps()
    fetch = steps.send("/list", ExtractOrder("items", json="$", pick="all", entries=True))
    loop = IfStep((Condition("item0", values=(-1,)),), (steps.send("/never"),))
    for depth in range(3):  # a thousand million times
        loop = ForEachStep("items", f"item{depth}", (loop,))
    endless = WorkerScenario("endless", 1.0, (fetch, loop))
    other = WorkerScenario("other", 1.0, (PauseStep(1, 50 * MS, 50 * MS), steps.send("/b")))
    with scripted(server) as port:
        outcome = offered(port, [endless, other], steps, rate=20.0, duration=0.1, timeout=30.0)
    assert outcome.users["endless"]["failed"] == {"too_many_steps": 1}
    assert outcome.parts["endless/s0"]["failed"] == {"too_many_steps": 1}
    assert outcome.samples[0].failed_checks == (
        "the user has gone through 200,000 rounds of loops, which is the limit: repeat less, or let for_each "
        "go through shorter lists"
    )
    assert outcome.users["other"]["succeeded"] == 1


def test_a_user_whose_lists_are_too_long_fails_at_the_step_that_is_one_too_many():
    server = Server({"/list": ok(str(list(range(200))))})
    steps = Steps()
    fetch = steps.send("/list", ExtractOrder("items", json="$", pick="all", entries=True))
    inner = ForEachStep("items", "inner", (PauseStep(1, 0, 0),))
    outer = ForEachStep("items", "outer", (steps.send("/item"), inner))
    with scripted(server) as port:
        outcome = offered(port, [fetch, outer], steps, rate=10.0, timeout=60.0)
    assert outcome.users["visit"]["failed"] == {"too_many_steps": 1}
    # 1 request, then 49 entries with 1 request and 200 pauses each, then 1 request and 149 pauses
    assert outcome.parts["visit/s1"]["succeeded"] == 50
    assert outcome.parts["visit/s1"]["failed"] == {"too_many_steps": 1}
    assert outcome.samples[0].failed_checks.startswith(
        "the user has gone through 10,000 steps, which is the "
    )


def test_for_each_over_a_single_value_fails_and_keeps_a_sample():
    server = Server({"/one": ok('{"items": "text"}')})
    outcome = run(
        server,
        lambda steps: [
            steps.send("/one", ExtractOrder("items", json="$.items")),
            ForEachStep("items", "item", (steps.send("/item"),)),
        ],
    )
    assert server.received() == ["GET /one"]
    assert outcome.failures == {"extract_failed": 1}
    assert outcome.parts["visit/s0"]["succeeded"] == outcome.parts["visit/s0"]["failed"].total() == 1
    assert outcome.samples[0].failed_checks == (
        "`items` is a single value, 'text', and no list that for_each can go through"
    )


def test_a_new_connection_for_each_request():
    server = Server()
    outcome = run(server, lambda steps: [steps.send("/a"), steps.send("/b")], new_connections=True)
    assert len(server.connections) == 2
    assert outcome.loop.exchange.opened == 2


def test_users_of_the_closed_model_follow_each_other():
    server = Server()
    outcome = run(server, lambda steps: [steps.send("/a"), PauseStep(1, 5 * MS, 5 * MS)], rate=0.0, users=3)
    users = outcome.users["visit"]
    assert users["sent"] == users["succeeded"] == len(server.log)
    assert 3 <= users["sent"] <= 3 * 21
    assert users["dropped"] == 0
    assert all(second.parts["visit/s0"].response_time.count == 0 for second in outcome.seconds)


def test_slots_wait_longer_and_longer_for_a_service_that_is_gone():
    steps = Steps()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = offered(taken.getsockname()[1], [steps.send("/a")], steps, rate=0.0, users=2, duration=0.3)
    assert outcome.users["visit"]["failed"].keys() == {"connect_refused"}
    assert 2 <= outcome.users["visit"]["sent"] <= 20


def test_users_beyond_the_limit_are_dropped():
    server = Server({"/": SILENT})
    outcome = run(server, lambda steps: [steps.send("/")], rate=100.0, max_in_flight=3, timeout=1.0)
    users = outcome.users["visit"]
    assert (users["scheduled"], users["sent"], users["dropped"]) == (10, 3, 7)
    assert outcome.failures == {"timeout": 3}


def test_who_pauses_too_long_after_the_window_is_unfinished():
    outcome = run(
        Server(),
        lambda steps: [steps.send("/a"), PauseStep(1, 10**12, 10**12), steps.send("/never")],
        rate=50.0,
        timeout=1.0,
    )
    assert outcome.users["visit"]["failed"] == {"unfinished": 5}
    assert outcome.failures == {}


def test_a_request_that_is_cut_off_counts_as_timed_out_and_its_user_as_unfinished():
    outcome = run(
        Server({"/a": SILENT}),
        lambda steps: [PauseStep(1, 150 * MS, 150 * MS), steps.send("/a")],
        rate=50.0,
        timeout=1.0,
    )
    assert outcome.users["visit"]["failed"] == {"unfinished": 5}
    assert outcome.failures == {"timeout": 5}


def test_a_stage_with_thousands_in_pauses_ends_at_once_when_it_is_stopped():
    steps, server = Steps(), Server()
    scenario = [PauseStep(1, 10**12, 10**12), steps.send("/a")]
    with scripted(server) as port:
        changes = {"max_in_flight": 10_000, "duration": 60.0, "quantum_ns": MS}
        loop, _ = loop_of(port, scenario, steps, rate=100_000.0, **changes)
        loop.run(time.monotonic_ns(), lambda: loop.exchange.in_flight == 10_000)
        loop.close()
    assert server.log == []


def test_scenarios_have_exact_shares():
    steps = Steps()
    scenarios = [
        WorkerScenario("often", 3, (steps.send("/often"),)),
        WorkerScenario("seldom", 1, (steps.send("/seldom"),)),
    ]
    with scripted(Server()) as port:
        outcome = offered(port, scenarios, steps, rate=200.0)
    assert {name: users["sent"] for name, users in outcome.users.items()} == {"often": 15, "seldom": 5}


def test_what_users_do_depends_on_their_number_alone_and_not_on_the_workers():
    def visit(steps):
        return [
            ProbabilityStep(11, 0.5, (steps.send("/maybe"),)),
            ChooseStep(12, (1, 2), ((steps.send("/one"),), (steps.send("/two"),))),
            steps.send("/last"),
        ]

    alone = Server()
    run(alone, visit, rate=200.0)
    shared = Server()
    for worker in range(2):
        run(shared, visit, rate=200.0, worker=worker, workers=2)
    assert sorted(alone.received()) == sorted(shared.received())
    assert {"GET /one", "GET /two", "GET /maybe"} < set(alone.received())


_ANSWERS = {
    "/ok": ok('{"token": "t", "items": [1, 2]}', "Set-Cookie: sid=1; Path=/"),
    "/bad": ok("no", status="500 Oops"),
    "/cut": CUT,
    "/reset": RESET,
    "/silent": SILENT,
    "/loop": to("/loop"),
    "/once": to("/ok"),
    "/away": to("http://example.org/"),
    "/close": ok("bye", "Connection: close"),
    "/garbage": b"no HTTP at all\r\n\r\n",
}


def _requests(steps):
    return st.builds(
        lambda path, extracts, method, follow: steps.send(path, *extracts, method=method, follow=follow),
        st.sampled_from([*_ANSWERS, *["/ok"] * 12]),
        st.lists(
            st.just(TOKEN)
            | st.just(ExtractOrder("items", json="$.items", pick="all", entries=True, optional=True)),
            max_size=1,
        ),
        st.sampled_from(["GET", "POST"]),
        st.sampled_from([0, 0, 2]),
    )


def _trees(steps):
    pauses = st.builds(lambda ms: PauseStep(1, 0, ms * MS), st.integers(0, 20))
    return st.recursive(
        _requests(steps) | pauses,
        lambda inner: (
            st.builds(RepeatStep, st.integers(1, 3), _several(inner))
            | st.builds(ProbabilityStep, st.just(3), st.just(0.5), _several(inner))
            | st.builds(lambda a, b: ChooseStep(4, (1, 1), (a, b)), _several(inner), _several(inner))
            | st.builds(ForEachStep, st.just("items"), st.just("item"), _several(inner))
            | st.builds(lambda a, b: IfStep((Condition("token"),), a, b), _several(inner), _several(inner))
        ),
        max_leaves=5,
    )


def _several(steps):
    return st.lists(steps, min_size=1, max_size=2).map(tuple)


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_whatever_happens_all_users_and_requests_are_counted_once(data):
    steps = Steps()
    tree = [steps.send("/ok"), *data.draw(st.lists(_trees(steps), min_size=1, max_size=4))]
    model = data.draw(
        st.sampled_from([{"rate": 100.0}, {"rate": 0.0, "users": 4}, {"rate": 60.0, "max_in_flight": 2}])
    )
    with scripted(Server(_ANSWERS)) as port:
        outcome = offered(port, tree, _used(steps, tree), duration=0.08, timeout=0.1, **model)
    assert outcome.users["visit"]["scheduled"] > 0


def _used(steps, tree):
    """Add unreachable steps for requests that were drawn and not used."""
    used = {step.request for step in request_steps(tree)}
    missing = [number for number in range(len(steps.requests)) if number not in used]
    never = (Condition("never"),)
    tree.extend(IfStep(never, (RequestStep(f"unused{number}", number),)) for number in missing)
    return steps
