"""What `runner init --from` writes runs as it is, against real servers whose tokens change with each user."""

import json
from collections import Counter

import pytest

from tests.app_server.conftest import serving
from tests.importers.imported import FILES
from tests.importers.recorder import Recorder


@pytest.fixture(scope="module")
def service():
    with serving() as server:
        yield server


def buy(browser: Recorder) -> None:
    """Log in with OpenID Connect, write a note and delete it, and buy something."""
    client = {"client_id": "shop", "redirect_uri": "http://client.example/callback"}
    page = browser.send("GET", "/oidc/authorize", params={**client, "response_type": "code", "state": "s7"})
    browser.wait(0.2)
    action = page.text.partition('action="')[2].partition('"')[0].replace("&amp;", "&")
    sent = browser.send("POST", action, data={"username": "ada", "password": "secret-of-ada"})
    code = sent.headers["location"].partition("code=")[2]
    tokens = browser.send(
        "POST", "/oidc/token", data={**client, "grant_type": "authorization_code", "code": code}
    ).json()
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    browser.send("GET", "/oidc/userinfo", headers=bearer)
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    browser.send("POST", "/oidc/token", data=refresh)
    note = browser.send("POST", "/notes", json={"text": "${bought} €"}).json()
    browser.send("GET", f"/notes/{note['id']}")
    browser.send("DELETE", f"/notes/{note['id']}")
    token = browser.send("POST", "/login", data={"user": "ada", "password": "demo"}).json()["token"]
    order = {"product": "p0001", "quantity": 2}
    bearer = {"authorization": f"Bearer {token}"}
    placed = browser.send("POST", "/orders", json=order, headers=bearer).json()
    browser.send("GET", f"/orders/{placed['id']}", headers=bearer)


def counts_of(service) -> Counter:
    return Counter(service.get("/counts").json())


def test_a_recording_is_played_back_by_other_users(cli, service):
    with Recorder(service.url) as browser:
        buy(browser)
    (cli.folder / "bought.har").write_bytes(browser.har())
    before = counts_of(service)

    done = cli.in_process("init", "--from", "bought.har", "--name", "bought")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "bought.yaml\n"
    assert "set before a run: PASSWORD, PASSWORD_2" in done.stderr
    short = "stages=[{users_per_s: 20, duration: 500ms}]"
    environment = {"PASSWORD": "secret-of-ada", "PASSWORD_2": "demo"}
    ran = cli("execute", "bought.yaml", "--out", "run", "--quiet", "--set", short, env=environment)

    assert ran.returncode in {0, 4}, ran.stderr  # a busy machine can make a stage invalid
    (stage,) = json.loads((cli.folder / "run" / "results.json").read_text())["configurations"][0]["stages"]
    users = stage["parts"]["recording"]["scenarios"]
    assert (users["started"], users["failed"]) == (10, 0)
    rose = counts_of(service) - before
    assert rose["oidc_logins"] == rose["oidc_refreshes"] == rose["notes_deleted"] >= 10
    assert not any(rose[name] for name in ("oidc_foreign_cookies", "oidc_bad_codes", "notes_refused"))
    for secret in ("secret-of-ada", "demo"):
        assert secret not in (cli.folder / "bought.yaml").read_text()


NOTES = """\
openapi: 3.0.0
info: {title: Notes}
paths:
  /notes:
    post:
      requestBody:
        content: {application/json: {schema: {type: object, properties: {text: {type: string}}}}}
      responses:
        "201":
          content: {application/json: {schema: {type: object, properties: {id: {type: integer}}}}}
  /notes/{id}:
    get: {responses: {"200": {}}}
    delete: {responses: {"204": {}}}
  /products/{id}:
    get: {parameters: [{name: id, in: path, required: true, example: p0007}], responses: {"200": {}}}
  /search:
    get: {parameters: [{name: q, in: query, required: true, example: blue shelf}], responses: {"200": {}}}
"""
COLLECTION = {
    "info": {"name": "Orders"},
    "variable": [{"key": "product", "value": "p0003"}],
    "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}"}]},
    "item": [
        {
            "name": "Log in",
            "event": [
                {
                    "listen": "test",
                    "script": {"exec": ["pm.environment.set('token', pm.response.json().token);"]},
                }
            ],
            "request": {
                "method": "POST",
                "url": "{{base}}/login",
                "auth": {"type": "noauth"},
                "body": {
                    "mode": "urlencoded",
                    "urlencoded": [{"key": "user", "value": "ada"}, {"key": "password", "value": "demo"}],
                },
            },
        },
        {
            "name": "Order",
            "request": {
                "method": "POST",
                "url": "{{base}}/orders",
                "body": {"mode": "raw", "raw": '{"product": "{{product}}", "quantity": 1}'},
            },
        },
    ],
}


@pytest.mark.parametrize(
    ("name", "content"), [("notes.yaml", NOTES), ("orders.json", json.dumps(COLLECTION))]
)
def test_other_files_become_requests_that_succeed(cli, service, name, content, monkeypatch):
    (cli.folder / name).write_text(content)
    monkeypatch.setenv("PASSWORD", "demo")

    done = cli.in_process("init", "--from", name, "--out", "spec.yaml", service.url)
    tried = cli.in_process("try", "spec.yaml")

    assert done.returncode == 0, done.stderr
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert counts_of(service)["notes_refused"] == 0


def test_a_log_becomes_a_mix_with_rows_beside_it(cli, service):
    paths = [f"/products/p000{number}/" for number in range(3)] + ["/products?page=1"]
    lines = [
        f'192.0.2.1 - - [29/Nov/2026:10:00:00 +0000] "GET {path.rstrip("/")} HTTP/1.1" 200 5'
        for path in paths * 30
    ]
    lines += [
        f'192.0.2.1 - - [29/Nov/2026:10:00:00 +0000] "GET /search?q=blue&n={n} HTTP/1.1" 200 5'
        for n in range(40)
    ]
    (cli.folder / "access.log").write_text("\n".join(lines))

    done = cli.in_process("init", "--from", "access.log", "--name", "shop", f"{service.url}/")
    checked = cli.in_process("validate", "shop.yaml")
    tried = cli.in_process("try", "shop.yaml")

    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in cli.folder.iterdir()) == [
        "access.log",
        "shop-search.csv",
        "shop.yaml",
    ]
    assert checked.returncode == 0, checked.stderr
    assert tried.returncode == 0, tried.stdout + tried.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--from", "missing.har"], 2, "there is no such file"),
        (["--from", "."], 2, "it is a folder"),
        (["--from", "notes.yaml"], 2, "notes.yaml does not say where the service is"),
        (["--from", "notes.yaml", "127.0.0.1:8000"], 2, "127.0.0.1:8000 is not a URL"),
        (
            ["--from", "notes.yaml", "http://127.0.0.1:8000", "--path", "/x"],
            2,
            "--path has no meaning with --from",
        ),
        (["--from", "notes.yaml", "http://127.0.0.1:8000", "--name", "A b"], 104, "name"),
        (["--from", "notes.yaml", "http://127.0.0.1:8000", "--out", "notes.yaml"], 2, "exists already"),
        (["--from", "text"], 2, "cannot import text: it is none of the known kinds"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_nothing_is_written(cli, arguments, code, words):
    (cli.folder / "notes.yaml").write_text(NOTES)
    (cli.folder / "text").write_text("\x1b[31m::error::hello")

    done = cli.in_process("init", *arguments)

    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert sorted(path.name for path in cli.folder.iterdir()) == ["notes.yaml", "text"]


def test_a_remote_service_needs_permission(cli):
    (cli.folder / "mine.har").write_bytes((FILES / "chrome.har").read_bytes())

    done = cli.in_process("init", "--from", "mine.har")

    assert done.returncode == 0, done.stderr
    assert "runner execute mine.yaml --i-am-authorized" in done.stderr
