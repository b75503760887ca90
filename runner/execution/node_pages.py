"""Pages of nginx and of the app that only nodes reach: the agent of a node fetches them for the runner."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from runner.cluster.client import Cluster
from runner.cluster.errors import AgentFailed
from runner.core.endpoint import Endpoint
from runner.load.node_request import send_from_node
from runner.load.single_request import NoResponse
from runner.observe.bounds import MAX_PAGE_S, BoundExceeded, PageUnreadable

_SUCCESS: Final = range(200, 300)


async def fetch_from_node(cluster: Cluster, node: str, url: str) -> str:
    """Return the text of a page, within the bounds of `runner.observe.http.fetch_page`.

    Args:
        cluster: Whose agents send requests.
        node: Name of the node.
        url: Of plain HTTP.

    Raises:
        PageUnreadable: There is no response, or none of success.
        BoundExceeded: It is not UTF-8.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    lines = (
        f"GET {parts.path or '/'} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Accept: text/plain;version=0.0.4, text/plain;q=0.9, */*;q=0.1",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    content = "".join(f"{line}\r\n" for line in (*lines, "")).encode()
    try:
        response = await send_from_node(
            cluster, node, Endpoint(host, port), content, head_only=False, within=MAX_PAGE_S
        )
    except (NoResponse, AgentFailed):
        raise PageUnreadable("its page could not be read from its node") from None
    if response.status not in _SUCCESS:
        raise PageUnreadable(f"its page returned status {response.status}")
    try:
        return response.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BoundExceeded("its page is not UTF-8 text") from None
