"""``app-server``: serves, or prints one line that says what is wrong."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from app_server.settings import Settings, read_settings


def main() -> None:
    """Run the service.

    The exit status is 0 after SIGTERM, 130 after SIGINT, 2 for wrong arguments, and 3 if the port or the
    extra's packages are not available.
    """
    settings = read_settings()
    # Applies before the server installs its own handler, and when it raises the signal again at its end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _serve(settings)
    except KeyboardInterrupt:
        sys.exit(130)


def _serve(settings: Settings) -> None:
    try:
        from app_server.server import listen, serve  # noqa: PLC0415  (the extra may be missing)
    except ModuleNotFoundError as error:
        from app_server.extra import how_to_add  # noqa: PLC0415  (rarely needed)

        _exit(f"the package {error.name!r} is missing: {how_to_add()}")
    try:
        listener = listen(settings)
    except OSError as error:
        number = error.errno or 0  # of name look-ups it is negative, with a text of its own
        reason = os.strerror(number) if number > 0 else error.strerror
        _exit(f"cannot listen on {settings.host} port {settings.port}: {reason}")
    serve(listener, settings)


def _exit(reason: str) -> NoReturn:
    print(f"app-server: {reason}", file=sys.stderr)  # noqa: T201
    sys.exit(3)


if __name__ == "__main__":
    main()
