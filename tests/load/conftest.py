import os
import ssl
from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import trio
from trio.lowlevel import FdStream

from runner.core.endpoint import Endpoint, Tls
from runner.experiment.model import Load, Stage
from runner.load import worker_process
from runner.load.builtin import offer
from runner.load.engine import LoadOrder
from runner.load.exchange import Exchange
from runner.load.loop import plain_exchange
from runner.load.tls_exchange import TlsExchange
from tests.preloaded import client as preloaded
from tests.servers.certificates import Authority


class Offered:
    """The facts of a stage, with sums."""

    def __init__(self, facts) -> None:
        self.facts = facts
        self.seconds = facts.seconds
        self.failures = Counter()
        for second in facts.seconds:
            self.failures.update(second.failures)
        for name in ("scheduled", "sent", "succeeded", "dropped", "completed"):
            setattr(self, name, sum(getattr(second, name) for second in facts.seconds))

    def check(self) -> None:
        """Every planned request is in exactly one count."""
        assert self.scheduled == self.facts.planned
        assert self.scheduled == self.sent + self.dropped
        assert self.sent == self.succeeded + sum(self.failures.values())


@pytest.fixture(params=["compiled", "python"])
def either_way(request, monkeypatch):
    """Plain HTTP with the compiled exchange, and with the one in Python."""
    if request.param == "python":
        monkeypatch.setenv("LOADPROOF_NO_EXTENSIONS", "1")
    elif plain_exchange() is Exchange:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("runner.load.fastpath was not built")


async def _open_preloaded(words, *, stdin, stdout, start_new_session):
    """Start ``PYTHON -P -m runner.load.worker`` as a fork of a process that has imported it."""
    python, _, *rest = words
    if rest != ["-m", "runner.load.worker"]:
        return await trio.lowlevel.open_process(
            words, stdin=stdin, stdout=stdout, start_new_session=start_new_session
        )
    pipes = {"stdin": stdin, "stdout": stdout, "bufsize": 0, "start_new_session": start_new_session}
    process = preloaded.popen([python, *rest], env=os.environ, **pipes)
    with process.stdin as to_it, process.stdout as from_it:
        streams = [FdStream(os.dup(pipe.fileno())) for pipe in (to_it, from_it)]
    return trio.Process._create(process, *streams, None)


@pytest.fixture
def preloaded_workers(request, monkeypatch):
    """Workers start in milliseconds; Python needs 0.1 s of CPU, most of what a short stage takes.

    A fork has more memory than a worker; tests about that, and about limits set as it starts, are marked.
    """
    if request.node.get_closest_marker("started_workers"):
        return
    starting = SimpleNamespace(**vars(trio) | {"lowlevel": SimpleNamespace(open_process=_open_preloaded)})
    monkeypatch.setattr(worker_process, "trio", starting)


@pytest.fixture
def run_load(preloaded_workers):
    async def run(
        port: int,
        *,
        rps=100,
        duration=0.2,
        warmup=0.0,
        host="127.0.0.1",
        on_spawn=lambda _: None,
        on_second=lambda _: None,
        tls=None,
        **load,
    ):
        endpoint = Endpoint(host, port, "https" if tls else "http", tls=tls)
        order = LoadOrder(
            endpoint, Load(**load), Stage(rps=rps, duration=f"{duration}s", warmup=f"{warmup}s")
        )
        facts = await offer(order, on_spawn=on_spawn, on_second=on_second)
        offered = Offered(facts)
        offered.check()
        return offered

    return run


@pytest.fixture(scope="session")
def test_authority():
    return Authority()


@dataclass
class Way:
    """One way to offer load, and the server's side of it."""

    make: object
    server: ssl.SSLContext | None
    tls: Tls | None = None


WAYS = ["compiled", "python", "TLS 1.3"]
EVERY_WAY = [*WAYS, "TLS 1.2"]
"""For tests of what differs between the versions of TLS; `test_tls_exchange.py` runs with both."""


@pytest.fixture(params=WAYS)
def way(request, monkeypatch, test_authority, tmp_path):
    """Each exchange, with the TLS context of its server."""
    if request.param.startswith("TLS"):
        tls = Tls("127.0.0.1", test_authority.file(tmp_path))
        context = test_authority.context("127.0.0.1")
        version = ssl.TLSVersion.TLSv1_3 if request.param == "TLS 1.3" else ssl.TLSVersion.TLSv1_2
        context.minimum_version = context.maximum_version = version
        return Way(lambda *args: TlsExchange(*args, tls), context, tls)
    if request.param == "python":
        monkeypatch.setenv("LOADPROOF_NO_EXTENSIONS", "1")
    elif plain_exchange() is Exchange:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("runner.load.fastpath was not built")
    return Way(plain_exchange(), None)
