"""The shop with PostgreSQL: a real server, started by the script that the experiments use."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg
import pytest

pytestmark = pytest.mark.postgresql
ROOT = Path(__file__).parents[2]
SHOP = Path(sys.executable).parent / "database-shop"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing listens on port {port}")


@pytest.fixture(scope="module")
def database():
    """The URL of a new, empty database."""
    port = free_port()
    with subprocess.Popen([str(ROOT / "infra" / "start-postgresql"), str(port)]) as server:
        try:
            wait_for(port, server)
            yield f"postgresql://postgres:example@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def shop(database):
    """A client of the shop, with tables."""
    environment = os.environ | {"DATABASE_URL": database, "POOL_SIZE": "2"}
    subprocess.run([SHOP, "--create"], env=environment, check=True, timeout=60)
    port = free_port()
    with subprocess.Popen([SHOP, "--port", str(port)], env=environment) as server:
        try:
            wait_for(port, server)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                yield client
        finally:
            server.terminate()


def test_a_product_is_found_by_its_number(shop):
    assert shop.get("/products/5").json() == {"id": 5, "name": "product 5", "price": 105}
    assert shop.get("/products/100000").status_code == 404


def test_a_product_is_found_by_its_name(shop):
    response = shop.get("/search", params={"name": "product 77"})

    assert response.json() == {"total": 1, "products": [{"id": 77, "name": "product 77", "price": 177}]}


def test_an_order_takes_from_the_stock(shop, database):
    response = shop.post("/orders", json={"product": 3, "quantity": 2})

    assert (response.status_code, response.json()["state"]) == (201, "accepted")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT pieces FROM stock WHERE product = 3").fetchone() == (999_999_998,)
        assert connection.execute("SELECT product, quantity FROM orders").fetchall() == [(3, 2)]


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"product": 100_000, "quantity": 1}, 404),
        ({"product": 1, "quantity": -1}, 422),
        ({"product": "1", "quantity": 1}, 422),
        ({"quantity": 1}, 422),
        ([], 422),
        ({"product": 1, "quantity": 1, "note": "x" * 20_000}, 422),
    ],
)
def test_a_wrong_order_is_refused(shop, order, status):
    assert shop.post("/orders", json=order).status_code == status


def test_the_pool_has_a_fixed_size(shop, database):
    assert shop.get("/healthz").text == "ok\n"
    with psycopg.connect(database) as connection:
        (clients,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchone()

    assert clients == 2 + 1  # the pool, and this test


@pytest.mark.parametrize(
    ("environment", "status", "message"),
    [
        ({}, 2, "set DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://127.0.0.1/", "POOL_SIZE": "many"}, 2, "should be numbers"),
        ({"DATABASE_URL": "postgresql://postgres:example@127.0.0.1:1/postgres"}, 3, "Connection refused"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(environment, status, message):
    ended = subprocess.run(
        [SHOP, "--create"], check=False, env=environment, capture_output=True, text=True, timeout=30
    )

    assert (ended.returncode, message in ended.stderr) == (status, True)
    assert "Traceback" not in ended.stderr
