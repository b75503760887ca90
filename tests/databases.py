"""Databases and caches for tests: real servers with data of their own, ended with everything they started."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[1]
_PATH = f"{os.environ['PATH']}:/usr/sbin"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def _running(argv: Sequence[str], port: int, folder: Path) -> Iterator[None]:
    with (
        (folder / "output").open("ab") as output,
        subprocess.Popen(argv, cwd=folder, stdout=output, stderr=output, start_new_session=True) as server,
    ):
        try:
            _wait_for(port, server, folder)
            yield
        finally:
            server.terminate()


def _wait_for(port: int, server: subprocess.Popen, folder: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise AssertionError((folder / "output").read_text(errors="replace")[-2000:])


@contextlib.contextmanager
def postgresql(folder: Path, *options: str) -> Iterator[str]:
    """Run PostgreSQL; yields the URL of an empty database."""
    port = free_port()
    command = [str(ROOT / "infra" / "start-postgresql"), str(port), *options]
    url = f"postgresql://postgres:example@127.0.0.1:{port}/postgres"
    with _running(command, port, folder):
        until = time.monotonic() + 60
        while time.monotonic() < until:  # it listens before it lets anyone in
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(url).close()
                break
            time.sleep(0.05)
        yield url


@contextlib.contextmanager
def redis(folder: Path, *options: str) -> Iterator[str]:
    """Run Redis without persistence; yields its URL."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", *options]
    with _running(command, port, folder):
        yield f"redis://127.0.0.1:{port}"


@contextlib.contextmanager
def mariadb(folder: Path) -> Iterator[str]:
    """Run MariaDB; yields a URL of its user root."""
    port, data = free_port(), folder / "data"
    data.mkdir()
    server = [
        str(shutil.which("mariadbd", path=_PATH)), "--no-defaults", f"--datadir={data}",
        f"--user={getpass.getuser()}", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0",
    ]  # fmt: skip
    tables = (Path("/usr/share/mysql") / f"mysql_system_tables{part}.sql" for part in ("", "_data"))
    bootstrap = "\n".join(["CREATE DATABASE mysql;", "USE mysql;", *(path.read_text() for path in tables)])
    subprocess.run([*server, "--bootstrap"], input=bootstrap, text=True, check=True, capture_output=True)
    user = folder / "user.sql"
    user.write_text(
        "CREATE USER probe@127.0.0.1 IDENTIFIED BY 'ex:a@mple';\nGRANT ALL ON *.* TO probe@127.0.0.1;"
    )
    command = [
        *server, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}",
        f"--init-file={user}",
    ]  # fmt: skip
    with _running(command, port, folder):
        yield f"mysql://probe:ex%3Aa%40mple@127.0.0.1:{port}/"
