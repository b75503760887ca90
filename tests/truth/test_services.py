"""Systems with a database or a cache that are built to have one limit: the verdict names it and whose it is.

To add one, add a row: what the verdict may be, whose limit it is, the system, and the rate. With CI=true the
rows run whose names begin with a star, `make truth` runs all of them.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests import databases
from tests.truth.conftest import ROOT, Case, service
from tests.truth.throttled import can_throttle

HERE = Path(__file__).parent
ALL = os.environ.get("TRUTH") == "all"
SHOP = Path(sys.executable).parent / "database-shop"
GUNICORN = Path(sys.executable).parent / "gunicorn"
URL = "postgresql://postgres:example@${db.host}:${db.port}/postgres"
CONNECT = [sys.executable, "-c", "import psycopg, sys; psycopg.connect(sys.argv[1])", URL]
POSTGRESQL = {
    "command": [str(ROOT / "infra" / "start-postgresql"), "{port}", "-c", "max_connections=40"],
    "ready": {"command": CONNECT},
}
TELLS = {"inspect": URL}
REDIS = {"command": ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", ""]}
BUSY = "EVAL for\ti=1,300000\tdo\tend\treturn\t1 0"


def system(command, service, name="db", **more):
    app = {"command": [str(word) for word in command], "health": "/healthz", **more}
    return {"kind": "process", "services": {name: service}, "app": app}


def shop(*words, tells=False, **env):
    """The shop of this repository: uvicorn with an asynchronous pool."""
    script = f"{SHOP} --create {' '.join(words)} && exec {SHOP} --port {{port}}"
    service = POSTGRESQL | (TELLS if tells else {})
    return system(["sh", "-c", script], service, env={"DATABASE_URL": URL, **env})


def threaded(pool, statement, **options):
    """A server with a thread per connection."""
    service = POSTGRESQL | {"command": [*POSTGRESQL["command"], *options.pop("options", ())]}
    return system([sys.executable, HERE / "threaded.py", "{port}", URL, pool, statement], service | options)


def cached(pool, command, burn_ms=0, redis_port="${cache.port}"):
    """Node with a pool of connections to Redis."""
    node = str(shutil.which("node"))
    return system([node, HERE / "cached.js", "{port}", redis_port, pool, command, burn_ms], REDIS, "cache")


def java(threads, pool, command):
    """Java's HttpServer with a pool of threads, and one of connections to Redis."""
    program = [str(shutil.which("java")), HERE / "Cached.java", "{port}", "${cache.port}"]
    return system([*program, str(threads), str(pool), command], REDIS, "cache")


def go(pool, command, burn_ms=0, **env):
    """Go's net/http with a pool of connections to Redis."""
    program = [str(shutil.which("go")), "run", HERE / "pooled.go", "{port}", "${cache.port}"]
    return system([*program, str(pool), command, str(burn_ms)], REDIS, "cache", env=env, ready_within="120s")


def syncing(writes_per_s):
    """A single thread that writes to disk before each response."""
    words = throttled(writes_per_s) if writes_per_s else []
    return {
        "kind": "process",
        "app": {"command": [*words, *service("--sync-kib", "8")], "health": "/healthz"},
    }


def throttled(writes_per_s):
    """Return what runs a command in a control group that may write no more often."""
    return [sys.executable, str(HERE / "throttled.py"), str(writes_per_s)]


def durable(pool, writes_per_s):
    """PostgreSQL that syncs each commit to a disk that is not quick enough for it."""
    wanted = ["-c", "fsync=on", "-c", "synchronous_commit=on"]
    topology = threaded(pool, "SELECT pg_logical_emit_message(true, 'a', 'b')", options=wanted)
    db = topology["services"]["db"]
    db["command"] = [*throttled(writes_per_s), *db["command"]]
    return topology


def gunicorn(workers, statement):
    """Synchronous workers, each with a connection of its own."""
    command = [GUNICORN, "--workers", str(workers), "--chdir", HERE, "--bind", "127.0.0.1:{port}"]
    environment = {"DATABASE_URL": URL, "STATEMENT": statement}
    return system([*command, "--backlog", "1024", "workers:application"], POSTGRESQL, env=environment)


def gunicorn_threads(threads, **env):
    """One worker with several threads, of which the interpreter lets one run at a time."""
    command = [str(GUNICORN), "--threads", str(threads), "--chdir", str(HERE), "--bind", "127.0.0.1:{port}"]
    app = {
        "command": [*command, "--backlog", "1024", "workers:application"],
        "health": "/healthz",
        "env": env,
    }
    return {"kind": "process", "app": app}


def get(path):
    return {"request": {"path": path}}


ORDER = {
    "request": {"method": "POST", "path": "/orders", "json": {"product": 1, "quantity": 1}},
    "expect": {"status": [201]},
}
SLOW = "BLPOP nothing 0.05"
COUNT = "SELECT count(*) FROM generate_series(1, 200000)"
CASES = {
    "* Redis without CPU behind Node": Case("service-limited", cached(10, BUSY), 900, service="cache"),
    "Node without CPU before Redis": Case("app-cpu-limited", cached(10, "PING", 3), 600),
    "a pool of 5 to Redis in Node": Case("pool-limited", cached(5, SLOW), 150, service="cache"),
    "Node and Redis without a limit": Case("within-capacity", cached(20, "PING"), 100),
    "PostgreSQL without CPU behind uvicorn": Case(
        "service-limited", shop("--without-index"), 300, get("/search?name=x"), service="db"
    ),
    "* a pool of 5 to PostgreSQL in uvicorn": Case(
        "pool-limited", shop(POOL_SIZE="5"), 160, get("/report"), service="db"
    ),
    "a row lock in PostgreSQL": Case(
        "app-concurrency-limited", shop(POOL_SIZE="10", PAYMENT_MS="20"), 90, ORDER, also=("pool-limited",),
        service="db",
    ),
    "* a row lock that PostgreSQL tells of": Case(
        "app-concurrency-limited", shop(POOL_SIZE="10", PAYMENT_MS="20", tells=True), 90, ORDER, service="db"
    ),
    "* uvicorn and PostgreSQL without a limit": Case(
        "within-capacity", shop(POOL_SIZE="10"), 60, get("/products/7")
    ),
    "PostgreSQL without CPU behind threads": Case(
        "service-limited", threaded(10, COUNT), 400, service="db"
    ),
    "a pool of 4 to PostgreSQL in threads": Case(
        "pool-limited", threaded(4, "SELECT pg_sleep(0.05)"), 130, service="db"
    ),
    "threads and PostgreSQL without a limit": Case("within-capacity", threaded(8, "SELECT 1"), 60),
    "* a pool of 4 to Redis in Java": Case("pool-limited", java(64, 4, SLOW), 160, service="cache"),
    "4 threads in Java": Case("app-concurrency-limited", java(4, 20, SLOW), 160),
    "Java and Redis without a limit": Case("within-capacity", java(64, 20, "PING"), 100),
    "4 workers of gunicorn before PostgreSQL": Case(
        "app-concurrency-limited", gunicorn(4, "SELECT pg_sleep(0.05)"), 160, also=("pool-limited",),
        service="db",
    ),
    "20 threads of gunicorn behind an interpreter lock": Case(
        "app-cpu-limited", gunicorn_threads(20, BURN_MS="3"), 500, also=("host-cpu-limited",)
    ),
    "PostgreSQL without CPU behind gunicorn": Case("service-limited", gunicorn(8, COUNT), 400, service="db"),
    "PostgreSQL without room for connections": Case(
        "error-limited", threaded(0, "SELECT pg_sleep(0.3)", options=("-c", "max_connections=13")), 100
    ),
}  # fmt: skip
DISKS = {
    "PostgreSQL that may not write often enough": Case("io-limited", durable(10, 100), 400, service="db"),
    "* an app that may not write often enough": Case("io-limited", syncing(100), 200),
}  # fmt: skip
GO = {
    "a pool of 5 to Redis in Go": Case("pool-limited", go(5, SLOW), 160, service="cache"),
    "Go with one processor before Redis": Case("app-cpu-limited", go(20, "PING", 2, GOMAXPROCS="1"), 800),
    "Redis without CPU behind Go": Case("service-limited", go(10, BUSY), 900, service="cache"),
    "Go and Redis without a limit": Case("within-capacity", go(20, "PING"), 200),
}  # fmt: skip
CASES |= (DISKS if can_throttle() else {}) | (GO if shutil.which("go") else {})


def selected(cases):
    """Return the rows to run."""
    return {name: case for name, case in cases.items() if ALL or name.startswith("*")}


@pytest.mark.redis
@pytest.mark.postgresql
@pytest.mark.verdict
@pytest.mark.parametrize("case", selected(CASES).values(), ids=selected(CASES))
def test_a_system_with_a_service(truth, shared, case, request):
    truth.check(case, shared[request.node.callspec.id])


@pytest.fixture
def strangers(truth):
    """Three busy programs that have nothing to do with the experiment."""
    processors = sorted(os.sched_getaffinity(0))
    truth.eaten = [*processors, *processors][:3]


SLOTS = {"kind": "process", "app": {"command": service("--slots", "4", "--slot-ms", "50")}}
BESIDE = {
    "* a semaphore": Case("app-concurrency-limited", SLOTS, 200),
    "a pool of 5 to Redis": Case("pool-limited", cached(5, SLOW), 150, service="cache"),
    "a pool of 5 to PostgreSQL": Case("pool-limited", shop(POOL_SIZE="5"), 160, get("/report"), service="db"),
    "a service without a limit": Case("within-capacity", cached(20, "PING"), 60),
}


@pytest.mark.redis
@pytest.mark.postgresql
@pytest.mark.verdict
@pytest.mark.parametrize("case", selected(BESIDE).values(), ids=selected(BESIDE))
def test_a_limit_beside_three_busy_strangers(truth, strangers, case):
    truth.check(case, truth.verdict(truth.start(case)))


@pytest.mark.redis
@pytest.mark.verdict
def test_a_cache_that_is_no_part_of_the_experiment(truth, tmp_path):
    """The program that the app's connections lead to is named, and is not one of the other programs."""
    with databases.redis(tmp_path) as url:
        topology = cached(10, BUSY, redis_port=url.rpartition(":")[2])
        case = Case("service-limited", topology | {"services": {}}, 900, service="redis-server")
        truth.check(case, truth.verdict(truth.start(case)))
