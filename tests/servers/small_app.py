"""A small service with selectable faults, which tests start as a real process.

python -m tests.servers.small_app --port N [--fault NAME]

With SMALL_APP_DELAY_S in its environment each response takes that much longer.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time

FAULTS = (
    "none", "exits-at-start", "never-healthy", "dies-on-request", "dies-when-ready", "ignores-sigterm",
    "grandchildren",
)  # fmt: skip


def say(name: str | None) -> None:
    if name:
        print(f"the token is {os.environ[name]}", flush=True)


def die() -> None:
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
        lasting = [sys.executable, "-c", "import time; time.sleep(600)"]
        subprocess.Popen(lasting)
        subprocess.Popen(lasting, start_new_session=True)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--fault", choices=FAULTS, default="none")
    parser.add_argument("--after", type=float, default=1.0, help="seconds until it dies")
    parser.add_argument("--slots", type=int, default=0, help="answer so many at once, each in 10 ms")
    parser.add_argument("--say", help="print this environment variable at the start")
    args = parser.parse_args()
    say(args.say)
    delay_s = float(os.environ.get("SMALL_APP_DELAY_S", "0"))
    slots = asyncio.Semaphore(args.slots or 1)
    begin(args.fault)
    first = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                health = head.startswith(b"GET /healthz")
                if args.fault == "dies-on-request" and not health:
                    first.append(time.monotonic())
                    if first[-1] - first[0] > args.after:
                        die()
                if args.slots and not health:
                    async with slots:
                        await asyncio.sleep(0.01)
                await asyncio.sleep(0 if health else delay_s)
                status = b"503 No" if health and args.fault == "never-healthy" else b"200 OK"
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", args.port, backlog=1024)
    if args.fault == "dies-when-ready":
        asyncio.get_running_loop().call_later(args.after, die)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
