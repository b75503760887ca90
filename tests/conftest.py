"""Skips tests whose needs this machine lacks, and external checkers; with CI=true nothing is skipped.

Also checks that no test file leaves anything running.
"""

import gc
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from infra.swarm.cluster import unusable
from tests.leftovers import mark_session, nothing_left

mark_session()
settings.register_profile("here", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=25, deadline=None)  # no deadline: machines are busy
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")
for variable in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(variable, None)  # a plain machine sets neither: what works only with them shows here too
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts the tests with & ignores both,
signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # and so would every program that they start
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup: these tests go on, but what they start
    signal.signal(signal.SIGHUP, lambda *_: None)  # does not inherit a handler, and meets SIGHUP as usual


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    return bool(docker) and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def _postgresql_is_here() -> bool:
    """Return whether a server can be started, wherever Debian or an administrator put it."""
    return bool(shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")))


_NEEDS = {
    "docker": (_docker_answers, "no Docker Engine answers"),
    "nginx": (
        lambda: bool(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")),
        "nginx is not installed",
    ),
    "mysql": (
        lambda: bool(shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")),
        "MariaDB is not installed",
    ),
    "postgresql": (_postgresql_is_here, "PostgreSQL is not installed"),
    "swarm": (
        lambda: unusable() is None and _docker_answers(),
        unusable() or "no Docker Engine answers",
    ),
    "redis": (lambda: bool(shutil.which("redis-server")), "Redis is not installed"),
}


_ONLY_IN_CI = dict.fromkeys(
    ("actionlint", "browser", "crate", "hdr", "installers", "prism"), "an external checker, runs with CI=true"
) | {"verdict": "one of many limits in a run of its own, runs with CI=true"}
"""Markers of tests that take minutes, to the reason why they are skipped elsewhere."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("CI") == "true":
        return
    for item in items:
        for marker, reason in _ONLY_IN_CI.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
    for marker, (present, reason) in _NEEDS.items():
        wanting = [item for item in items if item.get_closest_marker(marker)]
        if wanting and not present():
            for item in wanting:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collects tests without the collector of garbage: it takes a third of the time and finds hardly any."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()  # ten thousand tests, which it need not look at again
        gc.enable()


def _uses_docker(item: pytest.Item) -> bool:
    return item.get_closest_marker("docker") is not None


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names a test alike in every process that collects it: gzip, for one, writes the time into its bytes."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) and not val.isascii() else None


@pytest.fixture(scope="module", autouse=True)
def nothing_outlives_its_file(request: pytest.FixtureRequest) -> Iterator[None]:
    """No process, thread or container that the tests of a file started is there after the last of them."""
    own = (item for item in request.session.items if item.path == request.path)
    # Beside other users of the engine it is unknown whose containers these are.
    with nothing_left(containers=os.environ.get("CI") == "true" and any(map(_uses_docker, own))):
        yield


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder of 8 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)
