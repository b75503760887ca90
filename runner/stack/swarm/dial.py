"""Opens connections to a Docker Engine, here or elsewhere."""

from __future__ import annotations

from typing import Final

import trio

from runner.stack.docker.engine import EngineUnavailable

_UNIX: Final = "unix://"


async def dial(base_url: str) -> trio.abc.Stream:
    """Open a connection to the engine at a URL.

    Raises:
        EngineUnavailable: It does not accept one.
    """
    try:
        return await trio.open_unix_socket(base_url.removeprefix(_UNIX))
    except OSError as error:
        raise EngineUnavailable(f"the Docker Engine at {base_url} does not respond: {error}") from error
