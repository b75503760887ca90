"""The process that serves the page of one run, beside the runner: `runner execute --live` starts it.

python -P -m runner.serve.live_server FOLDER PATH DESCRIPTOR

It ends when its input does, which is when the runner ends in whatever way, and its viewers have the report.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Final

import trio

from runner.core.units import Seconds
from runner.serve.server import DEFAULT_HOST, serve_on
from runner.serve.site import Site
from runner.store.run_index import RunIndex

NICE: Final = 10
"""A viewer may wait; what is measured must not."""
LINGERS_S: Final[Seconds] = 5.0
"""How long viewers have, after the run has ended, to ask for its report."""
LOADS_S: Final[Seconds] = 15.0
"""How long a report may take in all that a viewer has asked for."""
OWED_S: Final[Seconds] = 10.0
"""How long a viewer that was told of the end may take until it asks for the report."""
_QUIET_S: Final[Seconds] = 1.0
"""A viewer that has asked for nothing for so long has everything."""
_POLL_S: Final[Seconds] = 0.05


def main() -> None:
    """Serve until the runner has ended and viewers have the report."""
    folder, path, descriptor = sys.argv[1:]
    os.nice(NICE)
    site = Site(Path(folder), RunIndex(Path(folder)), awaited=path)
    listening = socket.socket(fileno=int(descriptor))
    trio.run(partial(serve_on, listening, site, host=DEFAULT_HOST, until=_until_the_run_ends))


async def _until_the_run_ends(site: Site) -> None:
    while True:
        await trio.lowlevel.wait_readable(sys.stdin.fileno())
        if not os.read(sys.stdin.fileno(), 4096):
            break
    ended_at = time.monotonic()
    while not _viewers_have_all(site, time.monotonic() - ended_at):  # noqa: ASYNC110  (of time, too)
        await trio.sleep(_POLL_S)


def _viewers_have_all(site: Site, since_s: Seconds) -> bool:
    """Return whether nobody waits for the report any more, or has waited long enough."""
    is_quiet = time.monotonic() - site.asked_at > _QUIET_S
    pages = site.requests - site.viewers
    if since_s > LOADS_S:
        return True
    if site.owed and since_s < OWED_S:
        return False
    if since_s > LINGERS_S and not pages and is_quiet:
        return True
    return not site.requests and is_quiet


if __name__ == "__main__":
    main()
