"""A shop with a cart: items in and out of stock, ratings, and a payment that has to show the cart.

The cart belongs to a cookie. A payment that shows another one is refused, so a client that mixes the
cookies or the values of its users is found out.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app_server.bodies import json_of, refused
from app_server.kept import Kept

_ITEMS: Final = 30
_CART: Final = "cart"
_PATH: Final = "/store"
_MAX_STARS: Final = 5
_MAX_QUANTITY: Final = 9
_MAX_LINES: Final = 100


class Store:
    """Items and carts.

    Args:
        limit: How many carts are kept.
        counts: Where what happened is counted.
    """

    def __init__(self, limit: int, counts: Counter[str]) -> None:
        self._items = {item["id"]: item for item in map(_item, range(_ITEMS))}
        self._carts: Kept[dict[str, Any]] = Kept(limit)
        self._counts = counts

    def routes(self) -> list[Route]:
        """Return where it responds."""
        return [
            Route(f"{_PATH}/items", self._list),
            Route(f"{_PATH}/items/{{id}}", self._get),
            Route(f"{_PATH}/items/{{id}}/ratings", self._rate, methods=["POST"]),
            Route(f"{_PATH}/cart", self._get_cart),
            Route(f"{_PATH}/cart/lines", self._add, methods=["POST"]),
            Route(f"{_PATH}/payment", self._pay, methods=["POST"]),
        ]

    async def _list(self, _request: Request) -> Response:
        self._counts["store_lists"] += 1
        return JSONResponse({"items": list(self._items.values())})

    async def _get(self, request: Request) -> Response:
        item = self._items.get(request.path_params["id"])
        if item is None:
            return self._refuse(404, "no such item")
        self._counts["store_views"] += 1
        return JSONResponse(item)

    async def _rate(self, request: Request) -> Response:
        body = await json_of(request)
        stars = body.get("stars") if isinstance(body, dict) else None
        if request.path_params["id"] not in self._items:
            return self._refuse(404, "no such item")
        if type(stars) is not int or not 1 <= stars <= _MAX_STARS:
            return self._refuse(422, f"stars should be a whole number from 1 to {_MAX_STARS}")
        self._counts["store_ratings"] += 1
        return Response(status_code=204)

    async def _add(self, request: Request) -> Response:
        """Put an item into the cart of the cookie; the first one comes with a new cart."""
        body = await json_of(request)
        line = body if isinstance(body, dict) else {}
        item, quantity = self._items.get(str(line.get("item"))), line.get("quantity")
        if item is None or type(quantity) is not int or not 1 <= quantity <= _MAX_QUANTITY:
            return self._refuse(422, f"item should be an id, and quantity from 1 to {_MAX_QUANTITY}")
        if not item["stock"]:
            return self._refuse(409, "this item is out of stock")
        key = request.cookies.get(_CART, "")
        cart = self._carts.get(key)
        is_new = cart is None
        if cart is None:
            key = self._carts.add(cart := {"lines": [], "total": 0})
        if len(cart["lines"]) == _MAX_LINES:
            return self._refuse(409, "the cart is full")
        cart["lines"].append({"item": item["id"], "name": item["name"], "quantity": quantity})
        cart["total"] += item["price"] * quantity
        self._counts["store_lines"] += 1
        response = JSONResponse({"lines": len(cart["lines"])}, status_code=201)
        if is_new:
            self._counts["store_carts"] += 1
            response.set_cookie(_CART, key, path=_PATH, httponly=True)
        return response

    async def _get_cart(self, request: Request) -> Response:
        cart = self._carts.get(request.cookies.get(_CART, ""))
        return JSONResponse({"cart": cart}) if cart else self._refuse(404, "the cart is empty")

    async def _pay(self, request: Request) -> Response:
        """Accept the payment of a cart, which is then gone."""
        cart = self._carts.get(request.cookies.get(_CART, ""))
        if cart is None:
            return self._refuse(404, "the cart is empty")
        body = await json_of(request)
        if not isinstance(body, dict) or body.get("cart") != cart:
            return self._refuse(422, "cart should be the cart of this customer", "store_foreign_carts")
        self._carts.take(request.cookies[_CART])
        self._counts["store_payments"] += 1
        self._counts["store_cents"] += cart["total"]
        response = JSONResponse({"state": "paid", "total": cart["total"]}, status_code=201)
        response.delete_cookie(_CART, path=_PATH)
        return response

    def _refuse(self, status: int, why: str, count: str = "store_refused") -> Response:
        self._counts[count] += 1
        return refused(status, why)


def _item(number: int) -> dict[str, Any]:
    """Return an item; every third one is out of stock."""
    stock = number % 3 * 10
    return {"id": f"i{number:02}", "name": f'Lamp "{number}"', "price": 100 + 37 * number, "stock": stock}
