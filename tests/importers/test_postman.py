"""A Postman collection becomes a scenario in the order of its folders, with its variables."""

import json

import pytest

from runner.core.errors import UsageError
from runner.importers.postman_scripts import read_script
from runner.importers.recognise import draft_of
from tests.importers.imported import Imported, imported


@pytest.fixture(scope="module")
def shop():
    return imported("collection.json")


def of(*items, **changes):
    collection = {"info": {"name": "c"}, "item": items, **changes}
    return Imported(json.dumps(collection).encode())


def item(url="http://h/", name="a", **request):
    return {"name": name, "request": {"method": "GET", "url": url, **request}}


def test_requests_are_in_the_order_of_the_folders(shop):
    names = [step["request"]["name"] for step in shop.steps]

    assert names == ["log-in", "create-an-order", "read-it", "upload", "query"]


def test_variables_with_a_value_are_inserted_and_generated_ones_drawn(shop):
    created = shop.request("create-an-order")

    assert created["path"] == "/v1/orders"
    assert created["json"] == {"sku": "a-1", "key": "${guid}", "note": "$${not} a variable"}
    assert created["query"] == {"lang": "en", "q": "blue shoes"}
    assert shop.load["variables"]["guid"] == {"uuid": "v4"}


def test_what_scripts_take_from_responses_is_extracted(shop):
    assert shop.extract("log-in") == {"token": {"json": "$.access.token"}}
    assert shop.extract("create-an-order") == {"order_id": {"json": "$.id"}}
    assert shop.request("read-it")["path"] == "/v1/orders/${order_id}"
    assert shop.request("query")["json"]["variables"] == {"id": "${order_id}"}


def test_credentials_of_the_collection_are_sent_unless_a_request_says_otherwise(shop):
    assert shop.request("read-it")["headers"] == {"Authorization": "Bearer ${token}"}
    assert shop.request("log-in")["headers"] == {"Accept": "application/json"}


def test_secrets_are_read_from_the_environment(shop):
    assert "hunter2" not in shop.text
    assert "s3cr3tk3y" not in shop.text
    assert shop.request("log-in")["form"] == {"user": "ada", "password": "${password}"}
    assert shop.request("upload")["headers"] == {"Authorization": "ApiKey ${authorization}"}


def test_the_status_is_that_of_the_test_or_of_the_saved_response(shop):
    assert "expect" not in shop.request("log-in")
    assert shop.request("create-an-order")["expect"] == {"status": [201]}
    assert shop.request("read-it")["expect"] == {"status": ["2xx"]}


def test_what_is_left_out_is_listed(shop):
    for words in (
        "requests to other hosts than https://api.shop.example.com: Orders / Elsewhere",
        "methods that a specification does not have: Orders / Copy",
        "scripts, which are programs: Auth / Log in",
        "variables that the collection does not define are read from the environment: missing",
        "the content of files is not in a collection",
    ):
        assert words in shop.comments


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        ("http://h/a?b=1&b=2&c=x%20y", "/a", {"b": ["1", "2"], "c": "x y"}),
        ("h:8080/a b/é", "/a%20b/%C3%A9", None),
        ("{{base}}/a/{{base}}", "/a/${base}", None),
        ({"host": ["h"], "port": "8080", "path": ["a", {"value": "b"}]}, "/a/b", None),
        ({"raw": "http://h/:x/:y", "variable": [{"key": "x", "value": "7"}]}, "/7/${y}", None),
        ({"raw": "http://h/?q=1", "query": [{"key": "q", "value": "1", "disabled": True}]}, "/", None),
        ("http://h/$${x}", "/$$${x}", None),
    ],
)
def test_urls_in_all_their_forms(url, path, query):
    request = of(item(url)).request("a")

    assert request["path"] == path
    assert request.get("query") == query


def entries(**values):
    return [{"key": name, "value": value} for name, value in values.items()]


@pytest.mark.parametrize(
    ("kind", "values", "headers", "query"),
    [
        ("bearer", entries(token="abc"), {"Authorization": "Bearer ${token}"}, None),
        ("basic", {"username": "a", "password": "b"}, {"Authorization": "Basic ${basic_credentials}"}, None),
        (
            "apikey",
            [*entries(key="k", value="{{kk}}"), {"key": "in", "value": "query"}],
            None,
            {"k": "${kk}"},
        ),
        ("apikey", entries(key="X-Key", value="abc"), {"X-Key": "${api_key}"}, None),
        ("noauth", None, None, None),
        ("awsv4", [], None, None),
    ],
)
def test_credentials_of_each_kind(kind, values, headers, query):
    done = of(item(auth={"type": kind, kind: values}))

    request = done.request("a")
    assert (request.get("headers"), request.get("query")) == (headers, query)
    assert ("credentials of the kind awsv4: a" in done.comments) is (kind == "awsv4")


XML = {"raw": {"language": "xml"}}


@pytest.mark.parametrize(
    ("mode", "content", "options", "sent"),
    [
        ("raw", "<a>{{x}}</a>", XML, {"headers": {"Content-Type": "application/xml"}, "body": "<a>${x}</a>"}),
        ("raw", '{"a": {{x}}}', {}, {"headers": {"Content-Type": "text/plain"}, "body": '{"a": ${x}}'}),
        ("raw", '{"a": "{{x}}"}', {}, {"json": {"a": "${x}"}}),
        ("urlencoded", entries(a="1 2"), {}, {"form": {"a": "1 2"}}),
        ("raw", "", {}, {}),
        ("none", None, {}, {}),
    ],
)
def test_bodies_in_all_their_forms(mode, content, options, sent):
    body = {"mode": mode, mode: content, "options": options}
    request = of(item(method="POST", body=body)).request("a")

    assert {
        key: value for key, value in request.items() if key in {"headers", "body", "json", "form"}
    } == sent


@pytest.mark.parametrize(
    ("code", "extract"),
    [
        ('pm.environment.set("a", pm.response.json().b[0].c);', {"a": {"json": "$.b[0].c"}}),
        (
            "let r = JSON.parse(responseBody);\npostman.setEnvironmentVariable('a', r.b)",
            {"a": {"json": "$.b"}},
        ),
        ('pm.globals.set("a", pm.response.headers.get("Location"))', {"a": {"header": "Location"}}),
        ('pm.variables.set("a", pm.cookies.get("sid"))', {"a": {"cookie": "sid"}}),
        ('pm.environment.set("a", pm.response.json()?.b)', {"a": {"json": "$.b"}}),
        ('pm.environment.set("a", pm.response.json().b + 1)', {}),
        ('pm.environment.set("a", other.b)', {}),
        ('// pm.environment.set("a", pm.response.json().b);', {}),
        ('/* pm.environment.set("a", pm.response.json().b); */', {}),
    ],
)
def test_only_statements_of_a_known_form_are_taken_over(code, extract):
    assert read_script(code).extract == extract


def test_a_script_of_any_length_is_read_at_once():
    for code in ("/*" * 50_000, " " * 100_000, "\n" * 100_000, 'pm.environment.set("a",' + " " * 50_000):
        assert read_script(code).extract == {}


def test_a_collection_that_does_not_say_where_its_service_is():
    draft = draft_of(json.dumps({"info": {}, "item": [item("{{base}}/a")]}).encode())

    assert draft.url == ""


def test_texts_of_any_length_are_read_at_once():
    long = "{{" + " " * 100_000
    done = of(
        item(method="POST", body={"mode": "raw", "raw": "eyJ" * 20_000}), item(f"http://h/?q={long}", "b")
    )

    assert done.request("a")["body"] == "eyJ" * 20_000


def test_variables_in_variables_end():
    defined = entries(a="{{a}}{{b}}{{b}}" * 20, b="{{a}}{{b}}{{b}}" * 20)

    with pytest.raises(UsageError, match="no request that can be sent"):
        of(item("http://h/{{a}}"), variable=defined)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"info": {}, "item": 7}, "it is no valid Postman collection"),
        ({"info": {}, "item": []}, "no request that can be sent"),
        ({"info": {}, "item": [{"request": {"url": "ftp://h/"}}]}, "no request that can be sent"),
        ({"item": [{"request": "http://h/"}]}, "it is no valid Postman collection"),
    ],
)
def test_a_damaged_collection_is_refused(content, words):
    with pytest.raises(UsageError, match=words):
        draft_of(json.dumps(content).encode())


@pytest.mark.parametrize("key", ["item", "log"])
def test_a_file_that_is_nested_too_deeply_says_so(key):
    folders, depth = b'{"name": "f", "item": [', 3000
    content = b'{"info": {"name": "x"}, "%s": [' % key.encode() + folders * depth + b"]}" * depth + b"]}"

    with pytest.raises(UsageError, match="it is nested too deeply"):
        draft_of(content)
