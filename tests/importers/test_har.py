"""A browser's recording becomes a scenario with its pauses, without secrets and without what others serve."""

import json
from copy import deepcopy

import pytest

from runner.core.errors import UsageError
from runner.importers.recognise import draft_of
from runner.importers.spec_text import default_name
from tests.importers.imported import FILES, Imported, imported

CHROME = json.loads((FILES / "chrome.har").read_text())


@pytest.fixture(scope="module")
def chrome():
    return imported("chrome.har")


@pytest.fixture(scope="module")
def firefox():
    return imported("firefox.har")


def entry(url="http://h/", method="GET", status=200, at=0.0, took=0.0, body="", **changes):
    """Return an entry that starts `at` seconds after the first, and takes `took` seconds."""
    kind = changes.get("kind", "application/json" if body else "text/html")
    return {
        "startedDateTime": f"2026-11-29T10:{int(at) // 60:02}:{at % 60:06.3f}Z",
        "time": took * 1000,
        "request": {
            "method": method,
            "url": url,
            "headers": [{"name": name, "value": value} for name, value in changes.get("headers", {}).items()],
            **({"postData": changes["post"]} if "post" in changes else {}),
        },
        "response": {
            "status": status,
            "headers": [{"name": name, "value": value} for name, value in changes.get("sets", {}).items()],
            "content": {"mimeType": kind, "text": body},
        },
    }


def har(*entries):
    return Imported(json.dumps({"log": {"entries": entries}}).encode())


def test_the_requests_of_the_user_are_taken_over_in_order(chrome):
    names = [step["request"]["name"] for step in chrome.steps if "request" in step]

    assert names == ["login", "post-login", "api-items", "post-api-orders", "orders-status", "put-api-pay"]


def test_pauses_are_the_time_from_a_response_to_the_next_request(chrome):
    assert [step["pause"] for step in chrome.steps if "pause" in step] == ["3.5s", "4.2s", "2.5s"]


def test_event_streams_are_left_out_because_they_do_not_end():
    done = har(
        entry("http://h/"),
        entry("http://h/a", at=1.0, kind="text/event-stream"),
        entry("http://h/b", at=2.0, kind="", headers={"Accept": "text/event-stream"}),
    )

    assert [step["request"]["name"] for step in done.steps] == ["home"]
    assert "event streams, which do not end" in done.text


def test_what_is_left_out_is_listed_with_its_reason(chrome):
    for words in (
        "images, fonts, style sheets and scripts: GET /static/app.css, GET /logo.svg",
        "requests to other hosts: https://cdn.example.net, https://analytics.example.org",
        "answered with status 404 in the recording: GET /api/missing",
        "taken from the cache, or not answered: GET /api/aborted",
        "cookies of analytics: _ga",
    ):
        assert words in chrome.comments


def test_no_secret_is_in_the_file(chrome, firefox):
    for secret in ("correct", "eyJ", "8f14e45f", "p9", "mT7w", "YWRh", "0f9d"):
        assert secret not in chrome.text + firefox.text
    assert chrome.load["variables"] == {"password": {"env": "PASSWORD"}, "token": {"env": "TOKEN"}}
    assert chrome.request("post-api-orders")["headers"]["authorization"] == "Bearer ${token}"
    assert "export PASSWORD=" in chrome.comments


def test_a_hidden_field_is_extracted_and_sent(chrome):
    assert chrome.extract("login")["csrf"] == {"regex": 'name="csrf"[^>]*?value="([^"]*)"'}
    assert chrome.request("post-login")["form"] == {
        "csrf": "${csrf}",
        "email": "ada@example.com",
        "password": "${password}",
    }


def test_values_of_json_are_extracted_by_their_names(chrome):
    assert chrome.extract("api-items") == {"item_id": {"json": "$.items[1].id"}}
    assert chrome.extract("post-api-orders") == {
        "order_id": {"json": "$.order.id"},
        "payment_key": {"json": "$.payment.key"},
    }
    assert chrome.request("orders-status")["path"] == "/api/orders/${order_id}/status"
    assert chrome.request("put-api-pay")["json"] == {"orderId": "${order_id}", "key": "${payment_key}"}


def test_recorded_text_is_never_a_reference(chrome):
    assert chrome.request("post-api-orders")["json"] == {
        "item_id": "${item_id}",
        "quantity": 2,
        "note": "$${gift} for €5",
    }


def test_redirects_that_the_browser_followed_are_followed(chrome):
    assert chrome.request("post-login")["follow_redirects"] == 1
    assert "expect" not in chrome.request("post-login")
    assert chrome.load["allow_hosts"] == ["shop.example.com"]


def test_a_location_is_extracted_and_requested(firefox):
    assert firefox.extract("post-notes") == {"note_location": {"header": "Location"}}
    assert firefox.request("delete-notes-id")["url"] == "${note_location}"
    assert firefox.request("notes-id")["url"] == "${note_location}"


def test_a_form_with_a_file_says_that_its_content_is_missing(firefox):
    title, picture = firefox.request("post-notes")["multipart"]

    assert title == {"name": "title", "value": "shopping list"}
    assert picture["filename"] == "cat.png"
    assert "cat.png" in firefox.comments


def test_cookies_from_before_the_recording_are_read_from_the_environment(firefox):
    assert firefox.request("notes")["headers"] == {"Cookie": "${cookie}"}
    assert firefox.load["variables"]["cookie"] == {"env": "COOKIE"}
    assert "cookies that no response set are read from $COOKIE: lang, session" in firefox.comments


def test_without_the_cache_of_the_browser_no_response_is_304(firefox):
    assert "expect" not in firefox.request("notes-id")
    assert firefox.request("delete-notes-id")["headers"] == {
        "Authorization": "Basic ${authorization}",
        "If-Match": "${etag}",
    }


@pytest.mark.parametrize(
    ("produced", "sent", "comes_from_it"),
    [
        ({"id": 7}, "/things/7", True),  # the path of the thing that was created
        ({"id": 7}, "/others/7", False),
        ({"page": 7}, "/things/7", False),
        ({"key": "a8f3-2bc1-9d"}, "/others/a8f3-2bc1-9d", True),  # cannot be there by chance
        ({"state": "open"}, "/things/open", False),
        ({"day": "2026-11-29"}, "/things/2026-11-29", False),
        ({"name": "shown-to-all"}, "/things?name=shown-to-all", False),
        ({"thing": {"id": 7}}, "/others?thing_id=7", True),
        ({"id": 7}, "/others?thingId=7", True),
        ({"id": "t7"}, "/things/t7", True),
        ({"id": "t7"}, "/others?thing=t7", True),
        ({"things": [{"id": "t7"}]}, "/others?thing=t7", True),
        ({"id": "t7"}, "/others?other=t7", False),
        ({"count": 7}, "/others?count=7", False),
        ({"a b'c": "a8f3-2bc1-9d"}, "/others?x=a8f3-2bc1-9d", True),
    ],
)
def test_only_values_that_are_certain_become_extracts(produced, sent, comes_from_it):
    recording = har(
        entry("http://h/things", "POST", 201, body=json.dumps(produced)), entry(f"http://h{sent}", at=1)
    )

    assert bool(recording.extract("post-things")) is comes_from_it


def test_a_value_that_the_user_sent_first_is_a_literal():
    recording = har(
        entry("http://h/things?key=a8f3-2bc1-9d", body='{"key": "a8f3-2bc1-9d"}'),
        entry("http://h/others?key=a8f3-2bc1-9d", at=1),
    )

    assert recording.steps[2]["request"]["query"] == {"key": "a8f3-2bc1-9d"}


def test_a_number_is_not_sent_in_place_of_a_text():
    post = {"mimeType": "application/json", "text": '{"thing_id": "7", "other": [{"thing_id": 7}]}'}
    recording = har(
        entry("http://h/things", "POST", 201, body='{"id": 7}'), entry("http://h/x", "PUT", at=1, post=post)
    )

    assert recording.request("put-x")["json"] == {"thing_id": "7", "other": [{"thing_id": "${thing_id}"}]}


def test_each_request_has_an_idempotency_key_of_its_own():
    headers = {"Idempotency-Key": "3fa85f64-5717-4562-b3fc-2c963f66afa6"}
    recording = har(entry("http://h/pay", "POST", headers=headers))

    assert recording.request("post-pay")["headers"] == {"Idempotency-Key": "${idempotency_key}"}
    assert recording.load["variables"] == {"idempotency_key": {"uuid": "v4", "scope": "request"}}


def test_the_address_of_a_form_is_that_of_its_page():
    page = '<form id="a" method="post" action="/login?execution=8f14e45fceea&amp;tab=1">'
    post = {"mimeType": "application/x-www-form-urlencoded", "text": "user=ada"}
    recording = har(
        entry("http://h/", body=page, kind="text/html", headers={"Accept": "text/html,image/avif;q=0.8"}),
        entry("http://h/login?execution=8f14e45fceea&tab=1", "POST", at=1, post=post),
    )

    assert recording.request("home")["headers"] == {"Accept": "text/html"}
    assert recording.extract("home") == {"post_login_action": {"regex": '<form[^>]*? action="([^"]*)"'}}
    assert recording.request("post-login") == {
        "name": "post-login",
        "method": "POST",
        "url": "${post_login_action}",
        "form": {"user": "ada"},
    }


def test_a_parameter_of_a_location_is_extracted():
    location = "http://client.example/back?state=s&code=8f14e45fceea"
    post = {"mimeType": "application/x-www-form-urlencoded", "text": "code=8f14e45fceea"}
    recording = har(
        entry("http://h/login", "POST", 302, sets={"Location": location}),
        entry("http://h/token", "POST", at=1, post=post),
    )

    source = {"header": "Location", "regex": "[?&#]code=([^&#]*)"}
    assert recording.extract("post-login") == {"login_code": source}
    assert recording.request("post-token")["form"] == {"code": "${login_code}"}


def test_an_object_of_a_response_is_sent_as_a_whole():
    cart = {"lines": [{"item": "t7", "price": 1.5}], "total": 570}
    post = {"mimeType": "application/json", "text": json.dumps({"cart": cart, "by": {"a": None, "b": 1}})}
    recording = har(
        entry(
            "http://h/cart",
            body=json.dumps({"cart": dict(reversed(cart.items())), "by": {"a": None, "b": 1}}),
        ),
        entry("http://h/pay", "POST", at=1, post=post),
    )

    assert recording.request("post-pay")["json"] == {"cart": "${cart}", "by": {"a": None, "b": 1}}
    assert recording.extract("cart") == {"cart": {"json": "$.cart"}}


def test_a_redirect_to_another_host_is_not_followed():
    recording = har(
        entry("http://h/login", status=302, sets={"Location": "https://id.example/authorize"}),
        entry("https://id.example/authorize", status=302, sets={"Location": "http://h/back?code=1"}),
        entry("http://h/back?code=1"),
    )

    assert recording.request("login")["expect"] == {"status": [302]}
    assert recording.request("back")["query"] == {"code": "1"}
    assert "requests to other hosts: https://id.example" in recording.comments


def test_a_large_body_is_sent_as_text_and_unchanged():
    text = json.dumps({"rows": [{"id": n, "text": "${x}"} for n in range(300)]})
    recording = har(entry("http://h/x", "POST", post={"mimeType": "application/json", "text": text}))

    request = recording.request("post-x")
    assert json.loads(request["body"].replace("$${", "${")) == json.loads(text)
    assert request["headers"] == {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("post", "headers"),
    [
        ({"mimeType": "text/xml", "text": "<a/>"}, {"Content-Type": "text/xml"}),
        (
            {"mimeType": "application/hal+json", "text": "{}"},
            {"Content-Type": "application/hal+json"},
        ),
        ({"mimeType": "application/json", "text": "{"}, {"Content-Type": "application/json"}),
        ({"mimeType": "application/json", "text": "{}"}, None),  # the engine sends it
        ({"text": "<a/>"}, None),
    ],
)
def test_a_body_keeps_its_type_without_a_header_of_it(post, headers):
    recording = har(entry("http://h/x", "POST", post=post))

    assert recording.request("post-x").get("headers") == headers


@pytest.mark.parametrize("depth", [90, 300, 800, 5000])
def test_json_of_any_depth_is_sent_as_it_was(depth):
    text = '{"a":' * depth + "1" + "}" * depth
    post = {"mimeType": "application/json", "text": text}
    recording = har(entry("http://h/x", "POST", body=text, post=post))

    assert recording.request("post-x")["body"].replace(" ", "") == text


@pytest.mark.parametrize(
    "value",
    [
        "1e5",
        "on",
        "~",
        "null",
        "1:30",
        "-",
        "'",
        '"',
        "a: b #c",
        " x ",
        "é€😀",
        "\u2028",
        "1_000",
        "0x1F",
        "0o7",
        "1" * 30,
    ],
)
def test_a_text_stays_the_text_that_it_was(value):
    post = {"mimeType": "application/json", "text": json.dumps({"a": value, "b": [value]})}
    recording = har(entry("http://h/x", "POST", post=post))

    (request,) = recording.experiment.configurations[0].load.scenarios[0].steps
    assert request.request.json_body == {"a": value, "b": [value]}


def test_many_requests_are_taken_over_as_far_as_a_specification_can_be():
    recording = har(*(entry(f"http://h/{number}/x{number}", at=number % 60) for number in range(210)))

    assert len(recording.steps) <= 200
    assert "the last " in recording.comments
    assert "pause" not in recording.steps[-1]


def test_a_recording_elsewhere_is_played_back_at_the_given_url():
    recording = imported("chrome.har", "http://127.0.0.1:9/base")

    assert "allow_hosts" not in recording.load
    assert recording.experiment.configurations[0].topology.url == "http://127.0.0.1:9/base"


def changed(**changes):
    document = deepcopy(CHROME)
    for path, value in changes.items():
        document["log"]["entries"][0]["request"][path] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"log": {}}', "it is no valid HAR"),
        (b'{"log": {"entries": []}}', "no request to an http or https URL"),
        (b'{"log": {"entries": [{"request": {"method": "GET", "url": "x"}}]}}', "no request to an http"),
        (changed(url=7), "it is no valid HAR"),
        (b'{"log": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"log": {"entries": ', "no valid JSON"),
        (b"\xff\xfe{", "it is not UTF-8"),
        (b"", "it is empty"),
        (b'{"a": 1}', "of no known kind"),
    ],
)
def test_a_damaged_recording_is_refused(content, words):
    with pytest.raises(UsageError, match=words):
        draft_of(content)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Shop Berlin.har", "shop-berlin"),
        ("www.shop.example.har", "www-shop-example"),
        ("access.log.2.gz", "shop-example-com"),
        ("openapi.json", "shop-example-com"),
        ("日本.har", "shop-example-com"),
        ("x" * 200 + ".har", "x" * 40),
    ],
)
def test_an_experiment_is_named_after_its_file_or_its_host(file, name):
    draft = draft_of((FILES / "chrome.har").read_bytes())

    assert default_name(draft, file) == name


def polled(*states, **changes):
    """Return a recording that polls a job once a second, with these states, and then fetches its result."""
    jobs = [
        entry(
            "http://h/jobs/1", at=n, body=json.dumps({"state": state, "at": f"10:00:0{n}", "n": n}), **changes
        )
        for n, state in enumerate(states)
    ]
    return har(*jobs, entry("http://h/end", at=len(states)))


def test_polling_becomes_a_loop_that_ends_as_in_the_recording():
    made = polled("queued", "running", "running", "done")
    loop, pause, end = made.steps

    assert (loop["repeat"], loop["until"]) == (20, {"state": "done"})
    assert loop["steps"] == [
        {"pause": "1s"},
        {
            "request": {"name": "jobs-id", "path": "/jobs/1"},
            "extract": {"state": {"json": "$.state", "default": ""}},
        },
    ]
    assert (pause, end["request"]["path"]) == ({"pause": "1s"}, "/end")
    assert "requests that were repeated became a loop: jobs-id" in made.comments


def test_equal_requests_without_an_end_are_repeated_as_often_as_recorded():
    loop = polled("up", "up", "up").steps[0]

    assert loop == {
        "repeat": 3,
        "steps": [{"pause": "1s"}, {"request": {"name": "jobs-id", "path": "/jobs/1"}}],
    }


def test_two_equal_requests_stay_as_they_are():
    assert [list(step) for step in polled("queued", "done").steps[:3]] == [
        ["request"],
        ["pause"],
        ["request"],
    ]


def test_a_value_of_the_last_poll_is_extracted_there():
    polls = [entry("http://h/jobs/1", at=n, body=json.dumps({"state": "queued"})) for n in range(3)]
    last = entry("http://h/jobs/1", at=3, body=json.dumps({"state": "done", "resultId": "r4x8y2k9q1"}))
    made = har(*polls, last, entry("http://h/results/r4x8y2k9q1", at=4))

    assert made.steps[0]["steps"][1]["extract"] == {
        "result_id": {"json": "$.resultId", "default": ""},
        "state": {"json": "$.state", "default": ""},
    }
    assert made.steps[2]["request"]["path"] == "/results/${result_id}"


def page(content, **changes):
    return entry("http://h/list", body=f"<html><body>{content}</body></html>", kind="text/html", **changes)


def test_the_first_link_of_a_page_that_was_followed_is_extracted():
    links = '<a href="/about">x</a> <a class="i" href="/item/17?from=list">a</a> <a href="/item/18">b</a>'
    made = har(page(links), entry("http://h/item/17?from=list", at=1), entry("http://h/item/18", at=2))

    assert made.extract("list") == {"item_id": {"regex": 'href="/item/([^"/?&#]+)'}}
    assert made.steps[2]["request"]["path"] == "/item/${item_id}"
    assert made.steps[4]["request"]["path"] == "/item/18"


def test_a_parameter_of_a_link_is_extracted():
    made = har(
        page("<a href='/confirm?lang=en&amp;code=q8w7e6r5t4'>x</a>"),
        entry("http://h/confirm?lang=en&code=q8w7e6r5t4", at=1),
    )

    assert made.steps[2]["request"]["query"]["code"] == "${list_code}"
    assert made.extract("list")["list_code"] == {
        "regex": "href='/confirm[?](?:[^']*&(?:amp;)?)?code=([^'&#]*)"
    }


def test_values_of_scripts_in_a_page_are_extracted():
    script = """<script>var cartId = 4711; window.__S = {"csrfToken": "zx81qw92er"};</script>"""
    post = {"mimeType": "application/json", "text": '{"cartId": 4711, "note": "4711"}'}
    made = har(page(script), entry("http://h/buy", "POST", at=1, post=post, headers={"X-CSRF": "zx81qw92er"}))

    assert made.extract("list") == {
        "cart_id": {"regex": r"""\bcartId["']?\s*[:=]\s*([0-9]+)"""},
        "csrf_token": {"regex": r"""\bcsrfToken["']?\s*[:=]\s*["']([^"']*)"""},
    }
    sent = made.request("post-buy")
    assert (sent["headers"], sent["json"]["note"]) == ({"X-CSRF": "${csrf_token}"}, "4711")


def test_what_changes_something_says_which_page_it_comes_from():
    sent = {"Origin": "http://h", "Referer": "http://h/cart?token=abc", "Accept": "text/plain"}
    from_afar = {"Origin": "http://other", "Referer": "http://other/"}
    made = har(
        entry("http://h/cart", headers=sent),
        entry("http://h/pay", "POST", headers=sent),
        entry("http://h/rate", "POST", headers=sent | {"Referer": "http://h/reset/a8f3k2l9x0"}),
        entry("http://h/ping", "POST", headers=from_afar),
    )

    assert made.request("cart")["headers"] == {"Accept": "text/plain"}
    assert made.request("post-pay")["headers"] == {
        "Accept": "text/plain", "Origin": "http://h", "Referer": "http://h/cart",
    }  # fmt: skip
    assert made.request("post-rate")["headers"]["Referer"] == "http://h/"
    assert "headers" not in made.request("post-ping")
    moved = made.draft.at("http://127.0.0.1:8080/")
    pay = next(step for step in moved.scenarios[0].steps if step.name == "post-pay")
    assert dict(pay.headers)["Origin"] == "http://127.0.0.1:8080"
    assert dict(pay.headers)["Referer"] == "http://127.0.0.1:8080/cart"
