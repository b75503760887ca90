#!/usr/bin/env python3
"""Builds the stand-ins for the default base images from Debian packages, unless they exist.

`runner execute` does the same by itself if no registry responds. This script is for CI, and for machines that
are going to be offline.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import trio

from runner.core.errors import LoadproofError
from runner.stack.docker.bases import STAND_INS
from runner.stack.docker.engine import connect, run_concurrently
from runner.stack.docker.images import Supplier


class NoGuard:
    """A watchdog that does nothing: this script leaves only images behind."""

    def process(self, pid: int) -> None:
        """Ignored."""

    def forget(self, pid: int) -> None:
        """Ignored."""

    def docker(self, base_url: str) -> None:
        """Ignored."""

    def docker_emptied(self, base_url: str) -> None:
        """Ignored."""


def say(line: str) -> None:
    """Show progress."""
    print(line, file=sys.stderr)  # noqa: T201  (a script)


async def build_all() -> None:
    """Build all stand-ins, concurrently."""
    engine = await connect()
    supplier = Supplier(engine, NoGuard(), say, "local", Path(tempfile.gettempdir()))

    async def build(name: str) -> None:
        image = await supplier.obtain(name)
        say(f"{image.name} stands in for {name}: {image.id}")

    await run_concurrently(partial(build, name) for name in STAND_INS)
    engine.close()


def main() -> int:
    """Return 3 if this machine lacks something, else 0."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        trio.run(build_all)
    except LoadproofError as fault:
        say("\n".join(filter(None, (fault.message, fault.hint, *fault.details))))
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
