"""Statistics of real servers: what they tell in a window, and what becomes of those that tell nothing."""

import contextlib
import socket
import threading
import time

import psutil
import psycopg
import pymysql
import pytest
import redis

from runner.core.facts import Window
from runner.core.observed_facts import Subject
from runner.experiment.services import INSPECT_SCHEMES
from runner.observe.counters.process_titles import ProcessTitles
from runner.observe.inspect.view import KINDS, CannotInspect, open_view
from runner.observe.inspect.watch import Inspection
from tests import databases


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("databases")


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory):
    with databases.postgresql(tmp_path_factory.mktemp("postgresql"), "-c", "max_connections=20") as url:
        yield url


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    with databases.mariadb(tmp_path_factory.mktemp("mariadb")) as url:
        yield url


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with databases.redis(tmp_path_factory.mktemp("redis"), "--requirepass", "example") as url:
        yield url.replace("redis://", "redis://:example@")


def window(seconds=0.4):
    begin = time.monotonic_ns() + 200_000_000
    return Window(begin, begin, begin + round(seconds * 1e9))


async def inspected(url, seconds=0.4):
    inspection = Inspection({"db": url}, window(seconds))
    await inspection.watch()
    return inspection


def levels(inspection):
    assert not inspection.unreadable
    return {counter.name: counter for counter in inspection.readable}


def rise(counter):
    return counter.after - counter.before


def wait_until_told(url, name):
    view, until = open_view(url), time.monotonic() + 30
    while not view.read()[name].value and time.monotonic() < until:
        time.sleep(0.02)
    view.close()


def server_of(url):
    """Return the server with all its processes, as the subject of an experiment."""
    with psycopg.connect(url) as connection:
        return Subject("db", "db", "tree", psutil.Process(connection.info.backend_pid).ppid())


@contextlib.contextmanager
def waiting_for_a_row(connect, begin, url, waits):
    """Let one connection lock a row and another one wait for it, until the server itself tells so."""
    with connect() as first, connect() as second:
        first.cursor().execute(begin)
        waiter = threading.Thread(target=lambda: second.cursor().execute(begin))
        waiter.start()
        try:
            wait_until_told(url, waits)
            yield
        finally:
            first.commit()
            waiter.join(10)
            second.commit()


@pytest.mark.postgresql
async def test_postgresql_tells_what_its_connections_wait_for(postgresql):
    with psycopg.connect(postgresql, autocommit=True) as setup:
        setup.execute("DROP TABLE IF EXISTS one; CREATE TABLE one (a int); INSERT INTO one VALUES (1)")

    with waiting_for_a_row(
        lambda: psycopg.connect(postgresql), "UPDATE one SET a = a + 1", postgresql, "pg.lock_waits"
    ):
        known = levels(await inspected(postgresql))
        titles = ProcessTitles(server_of(postgresql)).read()

    assert known["pg.lock_waits"].after == known["pg.active"].after == titles["titles.lock_waits"].value == 1
    assert titles["titles.idle_in_transaction"].value == 1
    assert ProcessTitles(server_of(postgresql)).read()["titles.lock_waits"].value == 0
    assert known["pg.idle_in_transaction"].after == 1
    assert (known["pg.connections"].after, known["pg.connections"].limit) == (2, 17)
    assert all(counter.scope == "db" for counter in known.values())


@pytest.mark.postgresql
async def test_postgresql_counts_transactions(postgresql):
    def work():
        with psycopg.connect(postgresql, autocommit=True) as connection:
            while not done.is_set():
                connection.execute("SELECT count(*) FROM pg_database")
                time.sleep(0.001)

    done = threading.Event()
    worker = threading.Thread(target=work)
    worker.start()
    try:
        known = levels(await inspected(postgresql, seconds=1.5))  # a backend reports once a second
    finally:
        done.set()
        worker.join()

    assert rise(known["pg.commits"]) > 5


@pytest.mark.mysql
async def test_mariadb_tells_what_its_connections_wait_for(mariadb):
    def connect():
        port = int(mariadb.rstrip("/").rpartition(":")[2])
        return pymysql.connect(host="127.0.0.1", port=port, user="probe", password="ex:a@mple", database="t")

    view = open_view(mariadb)
    for statement in (
        "CREATE DATABASE IF NOT EXISTS t",
        "CREATE TABLE t.one (a int)",
        "INSERT INTO t.one VALUES (1)",
    ):
        view.connection.cursor().execute(statement)
    view.close()

    with waiting_for_a_row(connect, "UPDATE one SET a = a + 1", mariadb, "mysql.lock_waits"):
        known = levels(await inspected(mariadb))

    assert known["mysql.lock_waits"].after == 1
    assert known["mysql.connections"].after == 2
    assert known["mysql.connections"].limit == 151
    assert rise(known["mysql.statements"]) >= 1


@pytest.mark.redis
async def test_redis_tells_its_clients_and_commands(cache):
    with redis.Redis.from_url(cache) as client:
        client.ping()
        waiter = threading.Thread(target=lambda: client.blpop("nothing", timeout=60))
        waiter.start()
        wait_until_told(cache, "redis.blocked_clients")
        known = levels(await inspected(cache))
        with redis.Redis.from_url(cache) as other:
            other.rpush("nothing", "1")
        waiter.join()

    assert known["redis.blocked_clients"].after == 1
    assert known["redis.clients"].after == 1
    assert known["redis.clients"].limit
    assert rise(known["redis.commands"]) >= 1


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://postgres:secret@127.0.0.1:{port}/postgres", id="postgresql"),
        pytest.param("mysql://probe:secret@127.0.0.1:{port}/", id="mysql"),
        pytest.param("redis://:secret@127.0.0.1:{port}", id="redis"),
        pytest.param("mongodb://me:secret@127.0.0.1:{port}", id="an unknown scheme"),
        pytest.param("mysql://me:secret@[127.0.0.1:{port}", id="no URL"),
        pytest.param("postgresql://me:secret@127.0.0.1:port/", id="no port"),
    ],
)
async def test_a_service_that_cannot_be_reached_is_listed_with_a_reason_without_secrets(url):
    inspection = await inspected(url.format(port=databases.free_port()), seconds=0.05)

    (unreadable,) = inspection.unreadable
    assert not inspection.readable
    assert unreadable.scope == "db"
    assert unreadable.reason
    assert "secret" not in unreadable.reason


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "redis"])
async def test_a_server_that_never_answers_delays_nothing(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        inspection = await inspected(f"{scheme}://me:secret@127.0.0.1:{port}/db", seconds=0.05)

    (unreadable,) = inspection.unreadable
    assert "secret" not in unreadable.reason


@pytest.mark.parametrize(
    "fixture",
    [
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("mariadb", marks=pytest.mark.mysql),
        pytest.param("cache", marks=pytest.mark.redis),
    ],
)
async def test_a_wrong_password_is_named(request, fixture):
    url = request.getfixturevalue(fixture)
    wrong = url.replace("example", "wrong").replace("ex%3Aa%40mple", "wrong")

    (unreadable,) = (await inspected(wrong, seconds=0.05)).unreadable

    assert "password" in unreadable.reason


def test_every_url_that_a_specification_may_have_leads_to_a_kind_of_service():
    assert set(INSPECT_SCHEMES) == set(KINDS)


def test_a_driver_that_is_missing_is_named_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "runner.observe.inspect.mysql", None)

    with pytest.raises(CannotInspect, match=r"pip install 'loadproof\[mysql\]'"):
        open_view("mysql://root@127.0.0.1/")
