"""A small service with selectable faults, which tests start as a real process.

python -m tests.servers.small_app --port N [--fault NAME] [--after S] [--slots N] [--say NAME]

--after is how many seconds pass until it dies; with --slots it serves so many requests at once, each in
10 ms; --say prints an environment variable at the start. With SMALL_APP_DELAY_S in its environment each
response takes that much longer. It imports little, because hundreds of tests start it.
"""

import os
import signal
import socket
import sys
import threading
import time

FAULTS = (
    "none", "exits-at-start", "never-healthy", "dies-on-request", "dies-when-ready", "ignores-sigterm",
    "grandchildren",
)  # fmt: skip
KINDS = {"--port": int, "--fault": str, "--after": float, "--slots": int, "--say": str}
END_OF_HEAD = b"\r\n\r\n"


def options(arguments: list[str]) -> dict:
    words = [word for argument in arguments for word in argument.split("=")]
    try:
        given = {name: KINDS[name](value) for name, value in zip(words[::2], words[1::2], strict=True)}
    except (KeyError, ValueError):
        sys.exit(f"small_app: no such options: {words}")
    taken = {"--fault": "none", "--after": 1.0, "--slots": 0, "--say": None} | given
    if taken["--fault"] not in FAULTS:
        sys.exit(f"small_app: no such fault: {taken['--fault']}")
    return taken


def say(name: str | None) -> None:
    if name:
        print(f"the token is {os.environ[name]}", flush=True)


def die(after_s: float = 0.0) -> None:
    time.sleep(after_s)
    print("small_app: I am out of here", file=sys.stderr, flush=True)
    os._exit(9)


def begin(fault: str) -> None:
    """Do what a fault does before the app listens."""
    if fault == "exits-at-start":
        print("small_app: no database at all", file=sys.stderr)
        sys.exit(7)
    if fault == "ignores-sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if fault == "grandchildren":
        import subprocess

        lasting = [sys.executable, "-c", "import time; time.sleep(600)"]
        subprocess.Popen(lasting)
        subprocess.Popen(lasting, start_new_session=True)


class App:
    """Serves each connection in a thread of its own."""

    def __init__(self, fault: str, after_s: float, slots: int, delay_s: float) -> None:
        self.fault, self.after_s, self.delay_s = fault, after_s, delay_s
        self.slots = threading.Semaphore(slots) if slots else None
        self.first = None

    def serve(self, connection: socket.socket) -> None:
        received = b""
        with connection:
            while True:
                while END_OF_HEAD not in received:
                    try:
                        piece = connection.recv(65536)
                    except OSError:
                        return
                    if not piece:
                        return
                    received += piece
                head, _, received = received.partition(END_OF_HEAD)
                status = self.status(is_health=head.startswith(b"GET /healthz"))
                try:
                    connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")
                except OSError:
                    return

    def status(self, *, is_health: bool) -> bytes:
        """Take as long as a request takes, and return its status."""
        if is_health:
            return b"503 No" if self.fault == "never-healthy" else b"200 OK"
        if self.fault == "dies-on-request":
            self.first = self.first or time.monotonic()
            if time.monotonic() - self.first > self.after_s:
                die()
        if self.slots:
            with self.slots:
                time.sleep(0.01)
        if self.delay_s:
            time.sleep(self.delay_s)
        return b"200 OK"


def main() -> None:
    given = options(sys.argv[1:])
    fault = given["--fault"]
    say(given["--say"])
    app = App(fault, given["--after"], given["--slots"], float(os.environ.get("SMALL_APP_DELAY_S", "0")))
    begin(fault)
    with socket.create_server(("127.0.0.1", given["--port"]), backlog=1024) as listening:
        if fault == "dies-when-ready":
            threading.Thread(target=die, args=[given["--after"]], daemon=True).start()
        while True:
            connection, _ = listening.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=app.serve, args=[connection], daemon=True).start()


if __name__ == "__main__":
    main()
