"""A small shop: products to list, find and get, log-in, and orders that are checked. All in memory."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app_server.bodies import form_of, json_of, refused

PRODUCTS: Final = 500
_PAGE: Final = 20
_MAX_QUANTITY: Final = 99
_WORDS: Final = (
    "red",
    "blue",
    "green",
    "oak",
    "steel",
    "wool",
    "lamp",
    "chair",
    "table",
    "shelf",
    "rug",
    "desk",
)
_DIGITS: Final = len(_WORDS)


@dataclass(frozen=True, slots=True)
class Product:
    """Something to buy; its price is in cents."""

    id: str
    name: str
    price: int

    def as_json(self) -> dict[str, Any]:
        """Return its public form."""
        return {"id": self.id, "name": self.name, "price": self.price}


class Shop:
    """Products, tokens of customers, and the newest orders.

    Args:
        limit: How many orders and how many tokens are kept; beyond that the oldest is dropped.
        token: A token that is always valid; empty for none.
    """

    def __init__(self, limit: int, token: str = "") -> None:
        self._limit, self._token = limit, token
        self._products = {product.id: product for product in map(_product, range(PRODUCTS))}
        self._tokens: OrderedDict[str, str] = OrderedDict()
        self._orders: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def routes(self) -> list[Route]:
        """Return where it responds."""
        return [
            Route("/products", self._list),
            Route("/products/{id}", self._get),
            Route("/search", self._search),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/orders", self._order, methods=["POST"]),
            Route("/orders/{id}", self._get_order),
        ]

    async def _list(self, request: Request) -> Response:
        page = request.query_params.get("page", "0")
        at = int(page) * _PAGE if page.isascii() and page.isdigit() and len(page) < 6 else -1
        if not 0 <= at < PRODUCTS:
            return refused(400, "page should be a whole number of an existing page")
        found = list(self._products.values())[at : at + _PAGE]
        return JSONResponse({"items": [product.as_json() for product in found], "total": PRODUCTS})

    async def _get(self, request: Request) -> Response:
        product = self._products.get(request.path_params["id"])
        return JSONResponse(product.as_json()) if product else refused(404, "no such product")

    async def _search(self, request: Request) -> Response:
        words = request.query_params.get("q", "").lower().split()
        if not words:
            return refused(400, "q should have at least one word")
        found = [one for one in self._products.values() if all(word in one.name for word in words)]
        return JSONResponse({"items": [one.as_json() for one in found[:_PAGE]], "total": len(found)})

    async def _log_in(self, request: Request) -> Response:
        form = await form_of(request)
        user, password = (form.get(key, "") for key in ("user", "password"))
        if not user or not hmac.compare_digest(password.encode(), b"demo"):
            return refused(401, "wrong user or password")
        token = secrets.token_hex(16)
        self._keep(self._tokens, token, user)
        return JSONResponse({"token": token})

    async def _order(self, request: Request) -> Response:
        user = self._user(request.headers)
        if user is None:
            return refused(401, "log in first", {"www-authenticate": "Bearer"})
        body = await json_of(request)
        problem = self._problem_with(body)
        if problem or not isinstance(body, dict):
            return refused(422, problem)
        product = self._products[body["product"]]
        order = {"id": secrets.token_hex(8), "state": "accepted", "total": product.price * body["quantity"]}
        self._keep(self._orders, order["id"], order | {"user": user})
        return JSONResponse(order, status_code=201, headers={"location": f"/orders/{order['id']}"})

    async def _get_order(self, request: Request) -> Response:
        order = self._orders.get(request.path_params["id"])
        if order is None or order["user"] != self._user(request.headers):
            return refused(404, "no such order")
        return JSONResponse(order)

    def _user(self, headers: Mapping[str, str]) -> str | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        if self._token and hmac.compare_digest(token.encode(), self._token.encode()):
            return "service"
        return self._tokens.get(token)

    def _problem_with(self, body: object) -> str:
        """Return what is wrong with an order; empty if nothing is."""
        if not isinstance(body, dict):
            return "the body should be a JSON object of at most 16 KiB"
        if not isinstance(body.get("product"), str) or body["product"] not in self._products:
            return "product should be the id of a product"
        quantity = body.get("quantity")
        if type(quantity) is not int or not 1 <= quantity <= _MAX_QUANTITY:
            return f"quantity should be a whole number from 1 to {_MAX_QUANTITY}"
        return ""

    def _keep(self, kept: OrderedDict[str, Any], key: str, value: Any) -> None:
        kept[key] = value
        if len(kept) > self._limit:
            kept.popitem(last=False)


def _product(number: int) -> Product:
    words = (_WORDS[number // _DIGITS**place % _DIGITS] for place in range(3))
    return Product(f"p{number:04}", f"{' '.join(words)} {number}", 199 + number * 7919 % 20_000)
