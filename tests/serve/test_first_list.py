"""The first lists of a server: at once what is known from the last time, or that it looks for runs."""

import gc
import signal
import threading

import httpx
import pytest
import trio

from runner.archive.results_from import read_results_of
from runner.serve.application import application
from runner.serve.server import serve
from runner.serve.site import Site
from runner.store.run_index import RunIndex, list_runs
from tests.serve.folders import add_run

ADDRESS = "http://127.0.0.1"


class SlowIndex(RunIndex):
    """An index whose look into the folder ends when the test says so."""

    def __init__(self, folder):
        super().__init__(folder)
        self.may_end = threading.Event()

    def look(self):
        self.may_end.wait(60)
        return super().look()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def two_lists(folder):
    """Return the list before the first look into the folder has ended, and after it."""

    async def both():
        site = Site(folder, SlowIndex(folder))
        transport = httpx.ASGITransport(application(site, ["127.0.0.1"], any_address=False))
        client = httpx.AsyncClient(transport=transport, base_url=ADDRESS)
        async with client, trio.open_nursery() as background:
            background.start_soon(site.look_when_asked)
            early = await client.get("/")
            site.index.may_end.set()
            with trio.fail_after(60):
                while not site.index.has_looked:  # noqa: ASYNC110
                    await trio.sleep(0.01)
            late = await client.get("/")
            background.cancel_scope.cancel()
        return early.text, late.text

    return trio.run(both)


def version(page):
    return page.partition('data-version="')[2].partition('"')[0]


def test_what_is_known_is_listed_at_once_and_what_changed_since_follows(tmp_path):
    kept, gone = (add_run(tmp_path, number=number) for number in (1, 2))
    list_runs(tmp_path, read_results_of)
    gone.rename(tmp_path / "renamed")

    early, late = two_lists(tmp_path)

    assert "Looking for new and changed runs" in early
    assert (kept.name in early, gone.name in early, "renamed" in early) == (True, True, False)
    assert (kept.name in late, gone.name in late, "renamed" in late) == (True, False, True)
    assert "Looking for" not in late
    assert version(early) != version(late)


def test_without_anything_known_the_list_says_that_it_looks_and_not_that_there_are_no_runs(tmp_path):
    early, late = two_lists(tmp_path)

    assert "Looking for runs" in early
    assert "No runs yet" not in early
    assert "No runs yet" in late
    assert version(early) != version(late)


def test_a_server_collects_the_cycles_that_its_requests_leave_behind(tmp_path):
    collects = []

    def started(*_):
        collects.append(gc.isenabled())
        signal.raise_signal(signal.SIGTERM)

    gc.disable()  # as `runner` starts
    try:
        assert serve(tmp_path, port=0, on_start=started) is signal.SIGTERM
    finally:
        gc.enable()
        gc.unfreeze()

    assert collects == [True]
