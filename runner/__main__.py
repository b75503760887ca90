"""Starts the program. Nothing slow is imported before Ctrl-C ends it quietly."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum, which takes half as long as Python's start
import gc
import os


def main() -> None:
    """Entry point of the console script and of ``python -m runner``."""
    gc.disable()  # most commands end before a collection pays off; `execute` enables it
    _end_at_once_on_ctrl_c()
    _open_missing_streams()
    from runner.cli.main import main as run  # noqa: PLC0415  (it takes most of the time to start)

    run()


def _end_at_once_on_ctrl_c() -> None:
    """Let SIGINT end the program as SIGTERM does; commands that have something to remove handle both.

    Python's own handler would print a traceback wherever the program is, as in an import. A signal that is
    ignored, as in a background job of a shell script, stays ignored.
    """
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def _open_missing_streams() -> None:
    """Occupy the descriptors 0 to 2 that are closed, or the next file that is opened would be written to.

    They are opened for reading, so that writing to them fails as on a closed descriptor.
    """
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


if __name__ == "__main__":
    main()
