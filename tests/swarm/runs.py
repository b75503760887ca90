"""Runs of `runner` on the operator's machine, and a server there that nodes reach."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from click.testing import CliRunner

from infra.swarm.cluster import Cluster
from infra.swarm.namespaces import OPERATOR
from runner.cli.exit_codes import exit_code_of
from runner.cli.main import app

PORT, TLS_PORT = 8080, 8443
_TLS = " listen {port} ssl backlog=4096; ssl_certificate server.pem; ssl_certificate_key server.pem;"
_CONFIGURATION = """
pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000;
  server {{ listen {port} backlog=4096;{tls}
    location / {{ return 200 "ok"; }}
  }}
  server {{ listen unix:{folder}/status; location / {{ stub_status; }} }}
}}
"""
_WITHIN_S = 120


@contextmanager
def server(swarm: Cluster, folder: Path, authority: trustme.CA | None = None) -> Iterator[str]:
    """Provide the URL of a server on the operator's machine; an authority opens `TLS_PORT` as well."""
    configuration = folder / "nginx.conf"
    if authority:
        own = authority.issue_cert(swarm.address(OPERATOR)).private_key_and_cert_chain_pem
        own.write_to_path(folder / "server.pem")
    configuration.write_text(
        _CONFIGURATION.format(folder=folder, port=PORT, tls=_TLS.format(port=TLS_PORT) if authority else "")
    )
    command = ["nginx", "-e", f"{folder}/error.log", "-p", str(folder), "-c", str(configuration)]
    with subprocess.Popen(swarm.network.inside(OPERATOR, command)) as process:
        try:
            yield f"http://{swarm.address(OPERATOR)}:{PORT}"
        finally:
            process.terminate()


def wait_for_requests(folder: Path, more: int) -> None:
    """Wait until the server of a folder has received so many more requests than now."""

    def received() -> int:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(folder / "status"))
            asking.sendall(b"GET / HTTP/1.0\r\n\r\n")
            page = asking.makefile().read()
        return int(page.split()[-7])

    wanted, deadline = received() + more, time.monotonic() + _WITHIN_S
    while received() < wanted:
        wanted += 1  # the question itself
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass
class Run:
    """A command under way.

    Attributes:
        process: Of `runner`.
        output: File with what it has written so far.
        folder: What it writes to.
    """

    process: subprocess.Popen[bytes]
    output: Path
    folder: Path

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self.output.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until it has written a text."""
        deadline = time.monotonic() + _WITHIN_S
        while text not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

    def wait(self) -> int:
        """Wait for its end; returns its exit status."""
        return self.process.wait(_WITHIN_S)

    def kill(self) -> None:
        """End it as a loss of power does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def stages(self) -> list[dict]:
        """Those of its only configuration, in its results."""
        (configuration,) = json.loads((self.folder / "results.json").read_text())["configurations"]
        return configuration["stages"]

    @property
    def trials(self) -> list[dict]:
        """The facts in its journal."""
        lines = map(json.loads, (self.folder / "journal.ndjson").read_text().splitlines())
        return [line["trial"] for line in lines if "trial" in line]


def runner(*words: str) -> tuple[int, str]:
    """Call `runner` in this process; returns its exit status and what it wrote to its standard output."""
    with CliRunner().isolation() as (out, _, _):
        code = exit_code_of(app, list(words))
    return code, out.getvalue().decode()


def doctor() -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit status of `runner doctor --swarm`, and its checks by their names."""
    code, text = runner("doctor", "--swarm", "--json")
    return code, {check["name"]: check for check in json.loads(text)}


@contextmanager
def running(swarm: Cluster, folder: Path, specification: str, *words: str) -> Iterator[Run]:
    """Start `runner execute` on the operator's machine; it is ended with the block."""
    path, output = folder / "experiment.yaml", folder / "output"
    path.write_text(specification)
    command = [
        sys.executable,
        "-m",
        "runner",
        "execute",
        str(path),
        "--out",
        str(folder / "out"),
        "--no-lock",
        *words,
    ]
    with output.open("wb") as file:
        process = subprocess.Popen(
            swarm.network.inside(OPERATOR, command),
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield Run(process, output, folder / "out")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(_WITHIN_S)
