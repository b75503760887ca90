"""Opens connections to a Docker Engine, on this machine or elsewhere."""

from __future__ import annotations

import trio

from runner.stack.docker.engine import EngineUnavailable
from runner.stack.engine_address import WrongAddress, parse_address, tls_context


async def dial(base_url: str) -> trio.abc.Stream:
    """Open a connection to the engine at a URL.

    Raises:
        EngineUnavailable: It does not accept one.
    """
    try:
        address = parse_address(base_url)
        if address.path:
            return await trio.open_unix_socket(address.path)
        context = tls_context(address.tls) if address.tls else None
        stream = await trio.open_tcp_stream(address.host, address.port)
    except (OSError, WrongAddress) as error:
        raise EngineUnavailable(f"the Docker Engine at {base_url} does not respond: {error}") from error
    if context is None:
        return stream
    return trio.SSLStream(stream, context, server_hostname=address.host, https_compatible=True)
