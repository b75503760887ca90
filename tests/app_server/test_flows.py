"""What users do in several steps, against a real process: log in, buy, edit, upload."""

import hashlib
import html
import re
from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

CLIENT = {"client_id": "shop", "redirect_uri": "http://client.example/callback"}
PIECE = {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def counted(service):
    """Return what the service counted since the test began."""
    before = service.get("/counts").json()

    def since() -> dict[str, int]:
        after = service.get("/counts").json()
        return {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name)}

    return since


@pytest.fixture
def browser(service):
    """Return a new user with cookies of its own, which does not follow redirects."""
    with ExitStack() as users:
        yield lambda: users.enter_context(httpx.Client(base_url=service.url, trust_env=False))


def form_action(user, state="x") -> str:
    page = user.get("/oidc/authorize", params={**CLIENT, "state": state})
    assert page.status_code == 200
    return html.unescape(re.search(r'action="([^"]*)"', page.text)[1])


def code_of(user, name="ada") -> str:
    form = {"username": name, "password": f"secret-of-{name}"}
    response = user.post(form_action(user, state="a b&c"), data=form)
    assert response.status_code == 302
    where = urlsplit(response.headers["location"])
    assert (where.netloc, parse_qs(where.query)["state"]) == ("client.example", ["a b&c"])
    return parse_qs(where.query)["code"][0]


def test_a_code_is_good_for_one_pair_of_tokens_and_each_refresh_token_for_one_more(browser, counted):
    user = browser()
    code = code_of(user)
    grant = {"grant_type": "authorization_code", "code": code, **CLIENT}
    tokens = user.post("/oidc/token", data=grant).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    newer = user.post("/oidc/token", data=refresh).json()

    for token in (tokens["access_token"], newer["access_token"]):
        info = user.get("/oidc/userinfo", headers={"Authorization": f"Bearer {token}"})
        assert info.json()["preferred_username"] == "ada"
    assert user.post("/oidc/token", data=grant).status_code == 400
    assert user.post("/oidc/token", data=refresh).status_code == 400
    assert counted() == {
        "oidc_pages": 1,
        "oidc_logins": 1,
        "oidc_tokens": 1,
        "oidc_refreshes": 1,
        "oidc_user_infos": 2,
        "oidc_bad_codes": 1,
        "oidc_bad_refreshes": 1,
    }


def test_a_form_with_the_cookie_of_another_user_is_refused(browser, counted):
    ada, bob = browser(), browser()
    form_action(bob)
    response = bob.post(form_action(ada), data={"username": "ada", "password": "secret-of-ada"})

    assert response.status_code == 400
    assert counted() == {"oidc_pages": 2, "oidc_foreign_cookies": 1}


def test_a_password_belongs_to_one_user_and_a_form_is_sent_once(browser, counted):
    user = browser()
    action = form_action(user)

    assert user.post(action, data={"username": "ada", "password": "secret-of-bob"}).status_code == 401
    assert user.post(action, data={"username": "ada", "password": "secret-of-ada"}).status_code == 302
    assert user.post(action, data={"username": "ada", "password": "secret-of-ada"}).status_code == 400
    assert user.get("/oidc/authorize?client_id=shop").status_code == 400
    assert user.get("/oidc/userinfo").status_code == 401
    assert counted()["oidc_refused"] == 4


def test_a_cart_is_paid_by_its_owner_once(browser, counted):
    ada, bob = browser(), browser()
    items = ada.get("/store/items").json()["items"]
    in_stock = [item for item in items if item["stock"]]
    for user, item in ((ada, in_stock[0]), (bob, in_stock[1])):
        line = {"item": item["id"], "quantity": 2}
        assert user.post("/store/cart/lines", json=line).status_code == 201
    carts = [user.get("/store/cart").json()["cart"] for user in (ada, bob)]

    assert bob.post("/store/payment", json={"cart": carts[0]}).status_code == 422
    paid = ada.post("/store/payment", json={"cart": carts[0]})
    assert (paid.status_code, paid.json()["total"]) == (201, 2 * in_stock[0]["price"])
    assert not ada.cookies
    assert ada.post("/store/payment", json={"cart": carts[0]}).status_code == 404
    assert counted() == {
        "store_lists": 1,
        "store_carts": 2,
        "store_lines": 2,
        "store_foreign_carts": 1,
        "store_payments": 1,
        "store_refused": 1,
        "store_cents": 2 * in_stock[0]["price"],
    }


def test_an_item_that_is_out_of_stock_cannot_be_bought_but_rated(browser, counted):
    user = browser()
    gone = next(item["id"] for item in user.get("/store/items").json()["items"] if not item["stock"])

    assert user.get(f"/store/items/{gone}").json()["stock"] == 0
    assert user.post("/store/cart/lines", json={"item": gone, "quantity": 1}).status_code == 409
    assert user.post(f"/store/items/{gone}/ratings", json={"stars": 5}).status_code == 204
    for path in (f"/store/items/{gone}/ratings", "/store/cart/lines"):
        assert user.post(path, json={"stars": 6}).status_code == 422
    assert user.get("/store/cart").status_code == 404
    assert user.get("/store/items/none").status_code == 404
    assert counted() == {"store_lists": 1, "store_views": 1, "store_ratings": 1, "store_refused": 5}


def test_a_note_is_created_updated_and_deleted(service, counted):
    notes = [service.post("/notes", json={"text": "a"}).json()["id"] for _ in range(3)]
    updates = [service.client.put(f"/notes/{note}", json={"text": "b"}).status_code for note in notes]

    assert sorted(updates) == [200, 202, 204]
    assert service.get(f"/notes/{notes[0]}").json() == {"id": notes[0], "text": "b"}
    assert service.client.delete(f"/notes/{notes[0]}").status_code == 204
    assert service.client.delete(f"/notes/{notes[0]}").status_code == 404
    assert service.post("/notes", json=["text"]).status_code == 422
    assert counted() == {
        "notes_created": 3,
        "notes_updated": 3,
        "notes_read": 1,
        "notes_deleted": 1,
        "notes_refused": 2,
    }


def test_a_file_arrives_in_pieces_each_at_its_offset(service, counted):
    content = bytes(range(250)) * 10
    made = service.post("/uploads", headers={"Upload-Length": str(len(content))})
    where, offset = made.headers["location"], int(made.headers["upload-offset"])
    while offset < len(content):
        headers = {**PIECE, "Upload-Offset": str(offset)}
        sent = service.client.patch(where, content=content[offset : offset + 1000], headers=headers)
        assert sent.status_code == 204
        offset = int(sent.headers["upload-offset"])

    assert service.get(where).json()["sha256"] == hashlib.sha256(content).hexdigest()
    assert service.client.head(where).headers["upload-offset"] == "2500"
    again = service.client.patch(where, content=b"x", headers={**PIECE, "Upload-Offset": "0"})
    assert again.status_code == 409
    assert service.post("/uploads", headers={"Upload-Length": "0"}).status_code == 400
    assert counted() == {
        "uploads_created": 1,
        "uploads_pieces": 3,
        "uploads_bytes": 2500,
        "uploads_completed": 1,
        "uploads_bad_offsets": 1,
        "uploads_refused": 1,
    }
