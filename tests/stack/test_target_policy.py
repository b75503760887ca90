"""A typo puts no load on another machine. No test here sends a packet beyond this one."""

import ipaddress
import socket
from dataclasses import replace

import pytest
import trio

from runner.core.errors import StackFailed, UsageError
from runner.experiment.external_topology import ExternalTopology
from runner.experiment.url import is_loopback
from runner.stack.external import open_external
from runner.stack.target_policy import addresses_of, check_target
from tests.stack.test_readiness import OK, responding


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"]
)
def test_loopback_needs_no_permission(address):
    check_target(address, [address], allow_hosts=(), authorized=False)


@pytest.mark.parametrize(
    "address",
    ["192.0.2.1", "10.0.0.1", "172.17.0.2", "169.254.169.254", "128.0.0.1", "126.255.255.255", "0.0.0.0",
     "::", "::2", "2001:db8::1", "::ffff:192.0.2.1", "::127.0.0.1", "64:ff9b::7f00:1", "fe80::1%eth0",
     "fd00::1"],
)  # fmt: skip
def test_every_other_address_needs_both_permissions(address):
    assert not is_loopback(address)
    for allow_hosts, authorized in [((), False), ((), True), (("other",), True), (("host",), False)]:
        with pytest.raises(UsageError):
            check_target("host", [address], allow_hosts=allow_hosts, authorized=authorized)
    check_target("host", [address], allow_hosts=("other", "host"), authorized=True)


def test_one_remote_address_needs_permission():
    with pytest.raises(UsageError, match=r"host is 192\.0\.2\.1, which is not this machine"):
        check_target("host", ["127.0.0.1", "192.0.2.1"], allow_hosts=(), authorized=True)


def test_the_message_says_what_to_add():
    with pytest.raises(UsageError) as raised:
        check_target("a.example", ["192.0.2.1"], allow_hosts=(), authorized=False)
    assert 'allow_hosts: ["a.example"]' in raised.value.hint
    assert "--i-am-authorized" in raised.value.hint

    with pytest.raises(
        UsageError, match=r"a\.example is 192\.0\.2\.1.*authorized to put load on it"
    ) as raised:
        check_target("a.example", ["192.0.2.1"], allow_hosts=("a.example",), authorized=False)
    assert "--i-am-authorized" in raised.value.hint


def test_localhost_is_this_machine():
    assert all(is_loopback(address) for address in addresses_of("localhost", 80))


def test_addresses_are_resolved_by_the_system():
    assert addresses_of("127.0.0.2", 80) == ("127.0.0.2",)
    with pytest.raises(StackFailed, match=r"the host no-such-host\.invalid cannot be resolved"):
        addresses_of("no-such-host.invalid", 80)


class Names:
    """Replaces name resolution, and records the addresses that are connected to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.known: dict[str, list[str]] = {}
        self.resolved: list[str] = []
        self.connected: list[str] = []
        self._real = socket.getaddrinfo
        patch.setattr(socket, "getaddrinfo", self.look_up)
        connect = trio._socket._SocketType.connect
        names = self

        async def recording(sock, address):
            names.connected.append(address[0])
            assert ipaddress.ip_address(address[0]).is_loopback
            await connect(sock, address)

        patch.setattr(trio._socket._SocketType, "connect", recording)

    def look_up(self, host, port, *rest, **more):
        self.resolved.append(host)
        return [
            info for name in self.known.get(host, [host]) for info in self._real(name, port, *rest, **more)
        ]


@pytest.fixture
def names(monkeypatch):
    return Names(monkeypatch)


async def test_a_name_of_another_machine_is_refused_before_any_packet(ctx, names):
    names.known["app.test"] = ["192.0.2.1"]

    with pytest.raises(UsageError, match=r"app\.test is 192\.0\.2\.1, which is not this machine"):
        async with open_external(ExternalTopology(kind="external", url="http://app.test/"), ctx):
            pytest.fail("it was let through")

    assert names.connected == []


async def test_a_name_is_resolved_once_and_its_address_is_pinned(ctx, names):
    names.known["app.test"] = ["::1", "127.0.0.1"]
    async with responding(OK) as (url, requests):
        port = int(url.split(":")[2].split("/")[0])
        spec = ExternalTopology(kind="external", url=f"http://App.Test:{port}", health="/healthz")
        async with open_external(spec, ctx) as stack:
            assert (stack.endpoint.host, stack.endpoint.address) == ("app.test", "127.0.0.1")
            assert stack.description.address == "127.0.0.1"

    assert f"host: app.test:{port}".encode() in requests[-1].lower()
    assert names.resolved.count("app.test") == 1
    assert set(names.connected) <= {"::1", "127.0.0.1"}


@pytest.fixture
def said(ctx):
    """The context of a stack, and the messages it shows."""
    lines: list[str] = []
    return replace(ctx, say=lines.append), lines


def at_app_test(port, **keywords):
    return ExternalTopology(kind="external", url=f"http://app.test:{port}", **keywords)


async def test_the_address_that_is_used_of_several_is_told(names, said):
    ctx, lines = said
    names.known["app.test"] = ["127.0.0.2", "127.0.0.1", "::1"]
    async with responding(OK) as (url, _), open_external(at_app_test(port_of(url)), ctx) as stack:
        assert stack.endpoint.addresses == ()
        assert stack.description.address == "127.0.0.1"
        assert stack.description.unused_addresses == ("127.0.0.2", "::1")

    (line,) = lines
    assert line.startswith("app.test has 3 addresses; all load goes to 127.0.0.1, none to 127.0.0.2, ::1 ")


@pytest.mark.parametrize("resolve", ["first", "all"])
async def test_nothing_is_told_of_a_single_address(names, said, resolve):
    ctx, lines = said
    names.known["app.test"] = ["127.0.0.1"]
    async with responding(OK) as (url, _), _opened(url, ctx, resolve) as stack:
        assert (stack.endpoint.address, stack.endpoint.addresses) == ("127.0.0.1", ())
        assert (stack.description.addresses, stack.description.unused_addresses) == (None, None)

    assert lines == []


async def test_all_addresses_must_be_reachable_to_be_used(names, said):
    ctx, lines = said
    names.known["app.test"] = ["127.0.0.1", "127.0.0.2"]
    async with responding(OK) as (url, _):
        with pytest.raises(StackFailed, match=r"cannot be reached at 127\.0\.0\.2: Connection refused"):
            async with open_external(at_app_test(port_of(url), resolve="all"), ctx):
                pytest.fail("it came up")

        names.known["app.test"] = [f"127.0.0.{n}" for n in range(1, 18)]
        with pytest.raises(StackFailed, match=r"has 17 addresses; topology\.resolve: all spreads load over"):
            async with open_external(at_app_test(port_of(url), resolve="all"), ctx):
                pytest.fail("it came up")

    assert lines == []


async def test_each_of_all_addresses_is_checked_before_any_packet(ctx, names):
    names.known["app.test"] = ["127.0.0.1", "192.0.2.1"]

    with pytest.raises(UsageError, match=r"app\.test is 192\.0\.2\.1, which is not this machine"):
        async with open_external(at_app_test(80, resolve="all"), ctx):
            pytest.fail("it was let through")

    assert names.connected == []


def _opened(url, ctx, resolve):
    return open_external(at_app_test(port_of(url), resolve=resolve), ctx)


def port_of(url):
    return int(url.split(":")[2].split("/")[0])
