"""``app-server``: says in one line what is wrong, or serves."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from app_server.settings import Settings, read_settings


def main() -> None:
    """Run the service.

    The exit status is 0 after SIGTERM, 130 after SIGINT, 2 for wrong arguments and 3 when
    something is missing: the port, or the packages of the extra.
    """
    settings = read_settings()
    # Before the server's own handler is in place, and when it raises the signal again at its end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _serve(settings)
    except KeyboardInterrupt:
        sys.exit(130)


def _serve(settings: Settings) -> None:
    try:
        from app_server.server import listen, serve  # noqa: PLC0415  (the extra may be missing)
    except ModuleNotFoundError as error:
        _leave(f"the package {error.name!r} is missing: pip install 'loadproof[app]'")
    try:
        listener = listen(settings)
    except OSError as error:
        number = error.errno or 0  # name look-ups have negative ones, with their own words
        reason = os.strerror(number) if number > 0 else error.strerror
        _leave(f"cannot listen on {settings.host} port {settings.port}: {reason}")
    serve(listener, settings)


def _leave(why: str) -> NoReturn:
    print(f"app-server: {why}", file=sys.stderr)  # noqa: T201
    sys.exit(3)


if __name__ == "__main__":
    main()
