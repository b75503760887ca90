"""A load tool must not be aimed by a typo: what is not this machine needs to be allowed twice.

Once in the specification (``load.allow_hosts``), once by whoever runs it
(``--i-am-authorized``). What is judged are the addresses that are really connected to.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence

from runner.core.errors import StackFailed, UsageError
from runner.experiment.model import Configuration, ExternalTopology
from runner.experiment.url import host_of, is_loopback


def addresses_of(host: str, port: int) -> tuple[str, ...]:
    """All addresses of a host, in the order the system prefers.

    Raises:
        StackFailed: It has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StackFailed(
            f"the host {host} cannot be reached: {reason}", hint="check the url in the specification"
        ) from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def check_aim(host: str, addresses: Sequence[str], *, allow_hosts: Collection[str], authorized: bool) -> None:
    """Return when load may be put on a host.

    Args:
        host: As in the url, in the form of `runner.experiment.url.plain_host`.
        addresses: What it was looked up as; one that is not loopback decides.
        allow_hosts: ``load.allow_hosts``.
        authorized: Whether ``--i-am-authorized`` was given.

    Raises:
        UsageError: It is not this machine, and was not allowed twice.
    """
    beyond = next((address for address in addresses if not is_loopback(address)), None)
    if beyond is None:
        return
    where = (
        f"{host} is not this machine" if host == beyond else f"{host} is {beyond}, which is not this machine"
    )
    if host not in allow_hosts:
        raise UsageError(
            f"{where}, and load.allow_hosts does not name it",
            hint=f'if you may put load on it: add allow_hosts: ["{host}"] to load in the specification, '
            "and run again with --i-am-authorized",
        )
    if not authorized:
        raise UsageError(
            f"{where}: load on it needs your word",
            hint="if you are authorized to put load on it, run again with --i-am-authorized",
        )


def check_configurations(configurations: Collection[Configuration], *, authorized: bool) -> None:
    """Return when all external services may be put under load; a name without address is told later.

    Raises:
        UsageError: One may not.
    """
    for configuration in configurations:
        topology = configuration.topology
        if isinstance(topology, ExternalTopology):
            host = host_of(topology.url)
            try:
                addresses = addresses_of(host, 0)
            except StackFailed:
                continue
            check_aim(host, addresses, allow_hosts=configuration.load.allow_hosts, authorized=authorized)
