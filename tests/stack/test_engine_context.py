"""The engine in use is the one that the `docker` command uses, whose own contexts are read here."""

import json
import shutil
import subprocess

import pytest
import trustme

from runner.stack.engine_address import WrongAddress, parse_address
from runner.stack.engine_context import DEFAULT_URL, WrongContext, context_of, current_context, current_url

needs_docker = pytest.mark.skipif(shutil.which("docker") is None, reason="docker is not installed")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of the `docker` command."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker"


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()


def shown_by_docker() -> str:
    return docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")


def create(name: str, endpoint: str) -> None:
    docker("context", "create", name, "--docker", endpoint)


def write_meta(folder, name: str, content: bytes) -> None:
    create(name, "host=tcp://192.0.2.9:2375")
    (file,) = (folder / "contexts" / "meta").glob("*/meta.json")
    file.write_bytes(content)


@needs_docker
def test_variables_come_before_the_context_in_use(folder, monkeypatch):
    create("used", "host=tcp://192.0.2.1:2375")
    create("named", "host=tcp://192.0.2.2:2375")
    seen = [(current_url(), shown_by_docker())]
    docker("context", "use", "used")
    seen.append((current_url(), shown_by_docker()))
    monkeypatch.setenv("DOCKER_CONTEXT", "named")
    seen.append((current_url(), shown_by_docker()))
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    seen.append((current_url(), shown_by_docker()))
    monkeypatch.setenv("DOCKER_CONTEXT", "named")
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.3:2375")
    seen.append((current_url(), shown_by_docker()))

    wanted = [DEFAULT_URL, *(f"tcp://192.0.2.{number}:2375" for number in (1, 2))]
    assert [ours for ours, _ in seen] == [*wanted, DEFAULT_URL, "tcp://192.0.2.3:2375"]
    assert all(ours == theirs for ours, theirs in seen)


@needs_docker
def test_a_context_is_found_without_a_config_file(folder, monkeypatch):
    create("named", "host=tcp://192.0.2.2:2375")
    (folder / "config.json").unlink(missing_ok=True)
    monkeypatch.setenv("DOCKER_CONTEXT", "named")

    assert current_url() == "tcp://192.0.2.2:2375"


@needs_docker
def test_the_certificates_of_a_context_are_used_and_those_of_the_environment_are_not(
    folder, tmp_path, monkeypatch
):
    authority = trustme.CA()
    own = authority.issue_cert("client")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    files = ",".join(f"{name}={tmp_path}/{name}.pem" for name in ("ca", "cert", "key"))
    create("safe", f"host=tcp://192.0.2.1:2376,{files}")
    create("careless", f"host=tcp://192.0.2.2:2376,ca={tmp_path}/ca.pem,skip-tls-verify=true")
    create("plain", "host=tcp://192.0.2.3:2376")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/nowhere")
    docker("context", "use", "plain")

    safe, careless, plain = (parse_address(f"tcp://192.0.2.{number}:2376").tls for number in (1, 2, 3))

    given = [(tmp_path / f"{name}.pem").read_text() for name in ("ca", "cert", "key")]
    assert [file.read_text() for file in (safe.authority, *safe.certificate)] == given
    assert safe.verify
    assert (careless.authority.read_text(), careless.certificate, careless.verify) == (given[0], None, False)
    assert plain is None
    with pytest.raises(WrongAddress, match=r"lacks ca\.pem"):
        parse_address("tcp://192.0.2.4:2376")  # of no context: the environment counts


def test_a_context_that_does_not_exist_is_refused(folder, monkeypatch):
    monkeypatch.setenv("DOCKER_CONTEXT", "../../etc")

    with pytest.raises(WrongContext, match=r"no Docker context '\.\./\.\./etc'") as refused:
        current_url()

    assert "docker context ls" in refused.value.hint


@needs_docker
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"[]",
        b'{"Name": "odd"}',
        b'{"Name": 1, "Endpoints": {"docker": {}}}',
        b'{"Name": "odd", "Endpoints": {"docker": 5}}',
        b'{"Name": "odd", "Endpoints": {"docker": {"Host": ["x"]}}}',
        b'"' + b"x" * 2_000_000 + b'"',
    ],
    ids=range(8),
)
def test_a_damaged_context_is_refused_and_disturbs_no_other_engine(folder, monkeypatch, content):
    write_meta(folder, "odd", content)
    monkeypatch.setenv("DOCKER_CONTEXT", "odd")

    with pytest.raises(WrongContext, match="'odd' cannot be read"):
        current_context()

    assert context_of("tcp://192.0.2.9:2375") is None
    assert parse_address("tcp://192.0.2.9:2375").port == 2375


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"currentContext": 5})])
def test_a_damaged_config_file_names_no_context(folder, content):
    folder.mkdir()
    (folder / "config.json").write_text(content)

    assert current_url() == DEFAULT_URL
