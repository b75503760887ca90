import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest


class Service:
    """A real app-server process and a client for it."""

    def __init__(self, process: subprocess.Popen, url: str) -> None:
        self.process = process
        self.url = url
        self.client = httpx.Client(base_url=url, trust_env=False)
        self.get, self.post = self.client.get, self.client.post

    def metric(self, name: str) -> float:
        """Return a sample's value, 0 if it does not exist yet."""
        match = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics").text, re.MULTILINE)
        return float(match.group(1)) if match else 0.0


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "app_server", *arguments],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@contextmanager
def serving(*arguments: str, **env: str) -> Iterator[Service]:
    command = [sys.executable, "-m", "app_server", "--port", "0", *arguments]
    with subprocess.Popen(command, env=os.environ | env, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        service = Service(process, line.rpartition(" ")[2].strip())
        try:
            yield service
        finally:
            service.client.close()
            process.kill()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving() as running:
        yield running
