"""The manager may be on another machine; whatever is no manager is refused with what to do."""

import ssl

import pytest
import trio
import trustme

from runner.core.errors import EnvironmentLacks
from runner.stack import watchdog_docker
from runner.stack.swarm.placer import open_placer
from tests.swarm.conftest import left_on
from tests.swarm.relay import relay

ECHO = ("python3", "-c", "print(input()[::-1], flush=True); input()")


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def certificates(authority, tmp_path, monkeypatch):
    """A folder with what the runner needs for TLS, which DOCKER_CERT_PATH names."""
    own = authority.issue_cert("runner@example.org")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def check_hub(context, image, swarm) -> None:
    """Places a hub through DOCKER_HOST, and removes it."""
    async with open_placer(context) as placer:
        assert len(await placer.nodes()) == len(swarm.nodes)
        hub = await placer.start_hub(image=image, command=ECHO, network=None)
        await hub.send_line(b"abc\n")
        assert await hub.receive_line() == b"cba"
    assert left_on(swarm) == set()


async def test_a_manager_is_reached_by_tcp(context, image, swarm, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # not used
    async with relay(swarm.url("node-1").removeprefix("unix://")) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        await check_hub(context, image, swarm)


async def test_a_manager_is_reached_by_tls(context, image, swarm, monkeypatch, certificates, authority):
    async with relay(swarm.url("node-1").removeprefix("unix://"), server_context(authority)) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        await check_hub(context, image, swarm)
        async with open_placer(context) as placer:
            await placer.network("left")
            url = f"swarm+tcp://127.0.0.1:{port}"
            monkeypatch.setattr(watchdog_docker, "_QUIET_S", 0.5)
            monkeypatch.setattr("signal.alarm", lambda _: 0)  # of the main thread
            await trio.to_thread.run_sync(watchdog_docker.remove_all, url, context.run_id)
            assert left_on(swarm) == set()


async def test_a_manager_is_reached_by_a_context(context, swarm, monkeypatch, tmp_path, authority):
    certificate = authority.issue_cert("client")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.delenv("DOCKER_HOST")
    async with relay(swarm.url("node-1").removeprefix("unix://"), server_context(authority)) as port:
        files = ",".join(f"{name}={tmp_path}/{name}.pem" for name in ("ca", "cert", "key"))
        endpoint = f"host=tcp://127.0.0.1:{port},{files}"
        create = ["docker", "context", "create", "there", "--docker", endpoint]
        await trio.run_process(create, capture_stdout=True)
        monkeypatch.setenv("DOCKER_CONTEXT", "there")
        async with open_placer(context) as placer:
            assert len(await placer.nodes()) == len(swarm.nodes)


async def test_a_manager_with_a_strange_certificate_is_refused(context, swarm, monkeypatch, certificates):
    async with relay(swarm.url("node-1").removeprefix("unix://"), server_context(trustme.CA())) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        with pytest.raises(EnvironmentLacks, match=r"certificate verify failed") as refused:
            async with open_placer(context):
                pass
    assert "DOCKER_CERT_PATH" in refused.value.hint


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("ssh://me@there", "cannot be reached by SSH", "ssh -nNT -L"),
        ("tcp://127.0.0.1:1", "does not respond", "DOCKER_HOST"),
        ("tcp://", "no address of a Docker Engine", "unix://PATH"),
        ("ftp://there", "no address of a Docker Engine", "unix://PATH"),
        ("tcp://there:99999", "no address of a Docker Engine", "unix://PATH"),
        ("https://127.0.0.1", "lacks ca.pem, cert.pem, key.pem", "DOCKER_CERT_PATH"),
        ("unix:///var/run/docker.sock", "is not part of a swarm", "docker swarm init"),
    ],
)
async def test_what_is_no_manager_is_refused(context, monkeypatch, tmp_path, url, message, hint):
    monkeypatch.setenv("DOCKER_HOST", url)
    if url.startswith("https"):
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))

    with pytest.raises(EnvironmentLacks, match=message) as refused:
        async with open_placer(context):
            pass

    assert hint in refused.value.hint


async def test_a_worker_is_refused(context, swarm, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", swarm.url("node-2"))

    with pytest.raises(EnvironmentLacks, match=r"is a worker of its swarm") as refused:
        async with open_placer(context):
            pass

    assert refused.value.hint.endswith(f"a manager, such as the one at {swarm.address('node-1')}")
