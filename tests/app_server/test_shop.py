"""The shop as a real process, over real sockets."""

import pytest

from tests.app_server.conftest import serving


def log_in(service):
    response = service.post("/login", content="user=ada&password=demo")
    assert response.status_code == 200
    return {"Authorization": f"Bearer {response.json()['token']}"}


def test_products_are_listed_by_pages(service):
    first, last = service.get("/products").json(), service.get("/products?page=24").json()

    assert (first["total"], len(first["items"]), len(last["items"])) == (500, 20, 20)
    assert first["items"][0]["id"] == "p0000"
    assert last["items"][-1]["id"] == "p0499"


@pytest.mark.parametrize("page", ["25", "-1", "x", "", "9" * 30, "٣"])
def test_a_page_that_does_not_exist_is_refused(service, page):
    assert service.get("/products", params={"page": page}).status_code == 400


def test_a_product_is_found_by_its_id_and_by_words_of_its_name(service):
    product = service.get("/products/p0042").json()

    assert product["id"] == "p0042"
    found = service.get("/search", params={"q": product["name"].upper()}).json()
    assert found == {"items": [product], "total": 1}
    assert service.get("/products/none").status_code == 404
    assert service.get("/search?q=%20").status_code == 400
    assert service.get("/search?q=nothing").json()["total"] == 0


def test_an_order_is_accepted_and_can_be_fetched_by_its_customer_alone(service):
    customer, other = log_in(service), log_in(service)
    response = service.post("/orders", json={"product": "p0042", "quantity": 3}, headers=customer)

    order = response.json()
    price = service.get("/products/p0042").json()["price"]
    assert (response.status_code, order["state"], order["total"]) == (201, "accepted", 3 * price)
    assert response.headers["location"] == f"/orders/{order['id']}"
    assert service.get(f"/orders/{order['id']}", headers=customer).status_code == 200
    assert service.get(f"/orders/{order['id']}", headers=other).status_code == 200  # the same customer
    assert service.get(f"/orders/{order['id']}").status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}])
def test_an_order_needs_a_customer(service, headers):
    response = service.post("/orders", json={"product": "p0042", "quantity": 1}, headers=headers)

    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"product": "none", "quantity": 1}', "product"),
        (b'{"product": ["p0042"], "quantity": 1}', "product"),
        (b'{"product": "p0042", "quantity": 0}', "quantity"),
        (b'{"product": "p0042", "quantity": 100}', "quantity"),
        (b'{"product": "p0042", "quantity": true}', "quantity"),
        (b'{"product": "p0042", "quantity": "1"}', "quantity"),
        (b"[]", "JSON object"),
        (b"not JSON", "JSON object"),
        (b"[" * 16_000, "JSON object"),
        (b" " * 20_000, "JSON object"),
        (b"", "JSON object"),
    ],
)
def test_an_order_is_checked(service, body, word):
    response = service.post("/orders", content=body, headers=log_in(service))

    assert response.status_code == 422
    assert word in response.json()["error"]


@pytest.mark.parametrize("form", ["user=ada&password=wrong", "password=demo", "", "a=1&" * 200, "x" * 20_000])
def test_a_log_in_needs_user_and_password(service, form):
    assert service.post("/login", content=form).status_code in {400, 401}


def test_the_token_of_the_environment_is_always_valid(monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "from-outside")
    with serving() as service:
        order = {"product": "p0001", "quantity": 1}
        answers = [
            service.post("/orders", json=order, headers={"Authorization": f"Bearer {token}"}).status_code
            for token in ("from-outside", "other")
        ]

    assert answers == [201, 401]
