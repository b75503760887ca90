"""The shop with PostgreSQL behind it, to test load tools against limits that a database sets.

``database-shop --create`` makes the tables and fills them, ``database-shop --port N`` serves. The pool
of connections has a fixed size (POOL_SIZE); an order locks the stock of its product until it is paid.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

PRODUCTS: Final = 100_000
_CREATE: Final = """
DROP TABLE IF EXISTS orders, stock, product;
CREATE TABLE product (id integer PRIMARY KEY, name text NOT NULL, price integer NOT NULL);
CREATE TABLE stock (product integer PRIMARY KEY, pieces bigint NOT NULL);
CREATE TABLE orders (id bigserial PRIMARY KEY, product integer NOT NULL, quantity integer NOT NULL);
"""
_FILL: Final = (
    "INSERT INTO product SELECT n, 'product ' || n, 100 + mod(n, 900) FROM generate_series(0, %s) AS n",
    "INSERT INTO stock SELECT n, 1000000000 FROM generate_series(0, %s) AS n",
)
_INDEX: Final = "CREATE INDEX product_name ON product (name)"
_FIND: Final = "SELECT id, name, price FROM product WHERE id = %s"
_SEARCH: Final = "SELECT id, name, price FROM product WHERE name = %s LIMIT 20"
_TAKE: Final = "UPDATE stock SET pieces = pieces - %s WHERE product = %s"
_ORDER: Final = "INSERT INTO orders (product, quantity) VALUES (%s, %s) RETURNING id"
_WAIT: Final = "SELECT pg_sleep(%s)"
_MAX_BODY_BYTES: Final = 16 * 1024
_MAX_INTEGER: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """How the shop uses its database.

    Attributes:
        url: Where the database is, with user and password.
        pool: Connections that are kept; a request that needs one waits until one is free.
        report_s: How long the database waits in the statement of a report, as for a remote table.
        payment_s: How long an order waits for its payment while it holds the lock on its product's stock.
    """

    url: str = field(repr=False)
    pool: int = 10
    report_s: float = 0.05
    payment_s: float = 0.0


def create(url: str, *, index: bool) -> None:
    """Make the tables anew and fill them; without `index`, a search reads the whole table of products."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        connection.execute(_CREATE)
        for statement in _FILL:
            connection.execute(statement, (PRODUCTS - 1,))
        if index:
            connection.execute(_INDEX)
        connection.execute("ANALYZE")


def create_app(settings: DatabaseSettings) -> Starlette:
    """Return the service; its pool is open while it serves."""
    pool = AsyncConnectionPool(
        settings.url, min_size=settings.pool, max_size=settings.pool, timeout=60, open=False
    )

    @asynccontextmanager
    async def opened(_app: Starlette) -> AsyncIterator[None]:
        async with pool:
            yield

    shop = _Shop(pool, settings)
    return Starlette(
        routes=[
            Route("/products/{id:int}", shop.product),
            Route("/search", shop.search),
            Route("/report", shop.report),
            Route("/orders", shop.order, methods=["POST"]),
            Route("/healthz", shop.health),
        ],
        lifespan=opened,
    )


class _Shop:
    """What each route does with a connection of the pool."""

    def __init__(self, pool: AsyncConnectionPool, settings: DatabaseSettings) -> None:
        self._pool, self._settings = pool, settings

    async def product(self, request: Request) -> Response:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_FIND, (request.path_params["id"],))).fetchone()
        if row is None:
            return JSONResponse({"error": "no such product"}, status_code=404)
        return JSONResponse(_as_json(row))

    async def search(self, request: Request) -> Response:
        async with self._pool.connection() as connection:
            rows = await (
                await connection.execute(_SEARCH, (request.query_params.get("name", ""),))
            ).fetchall()
        return JSONResponse({"total": len(rows), "products": [_as_json(row) for row in rows]})

    async def report(self, _request: Request) -> Response:
        async with self._pool.connection() as connection:
            await connection.execute(_WAIT, (self._settings.report_s,))
        return JSONResponse({"state": "done"})

    async def order(self, request: Request) -> Response:
        wanted = await _order_of(request)
        if wanted is None:
            return JSONResponse({"error": "product and quantity should be whole numbers"}, status_code=422)
        number, quantity = wanted
        async with self._pool.connection() as connection, connection.transaction():
            if (await connection.execute(_TAKE, (quantity, number))).rowcount == 0:
                return JSONResponse({"error": "no such product"}, status_code=404)
            row = await (await connection.execute(_ORDER, (number, quantity))).fetchone()
            await asyncio.sleep(self._settings.payment_s)
        return JSONResponse({"id": row[0] if row else None, "state": "accepted"}, status_code=201)

    async def health(self, _request: Request) -> Response:
        async with self._pool.connection() as connection:
            await connection.execute("SELECT 1")
        return PlainTextResponse("ok\n")


def _as_json(row: Sequence[object]) -> dict[str, object]:
    return dict(zip(("id", "name", "price"), row, strict=True))


async def _order_of(request: Request) -> tuple[int, int] | None:
    """Return product and quantity of an order, None if it is not understood."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY_BYTES:
            return None
    try:
        values = json.loads(body)
        numbers = values["product"], values["quantity"]
    except (ValueError, KeyError, TypeError):
        return None
    if not all(isinstance(number, int) and 0 <= number <= _MAX_INTEGER for number in numbers):
        return None
    return numbers


def main() -> None:
    """Make the tables, or serve until SIGTERM; status 2 for wrong arguments, 3 without the database."""
    parser = argparse.ArgumentParser(prog="database-shop", description=__doc__, allow_abbrev=False)
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8080")))
    parser.add_argument("--create", action="store_true", help="make the tables and fill them")
    parser.add_argument("--without-index", action="store_true", help="no index for searches")
    arguments = parser.parse_args()
    settings = _settings(parser)
    try:
        if arguments.create:
            create(settings.url, index=not arguments.without_index)
        else:
            _serve(settings, arguments.host, arguments.port)
    except (psycopg.Error, OSError) as error:
        print(f"database-shop: {str(error).strip()}", file=sys.stderr)  # noqa: T201
        sys.exit(3)


def _settings(parser: argparse.ArgumentParser) -> DatabaseSettings:
    read = os.environ.get
    if not (url := read("DATABASE_URL")):
        parser.error("set DATABASE_URL, such as postgresql://user:password@127.0.0.1:5432/postgres")
    try:
        return DatabaseSettings(
            url,
            pool=int(read("POOL_SIZE", "10")),
            report_s=float(read("REPORT_MS", "50")) / 1000,
            payment_s=float(read("PAYMENT_MS", "0")) / 1000,
        )
    except ValueError as error:
        parser.error(f"POOL_SIZE, REPORT_MS and PAYMENT_MS should be numbers: {error}")


def _serve(settings: DatabaseSettings, host: str, port: int) -> None:
    import uvicorn  # noqa: PLC0415  (making the tables does not need it)

    uvicorn.run(create_app(settings), host=host, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
