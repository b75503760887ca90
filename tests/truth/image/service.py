"""A service with exactly the limit that its arguments select.

python -m tests.truth.image.service --port N [--burn-us N] [--slots N --slot-ms N] [--sleep-ms N]
    [--backlog N --pause-ms N] [--refuse SHARE] [--lose SHARE] [--leak-kib N] [--sync-kib N]
"""

import argparse
import asyncio
import os
import tempfile
import time

RESPONSE = b"HTTP/1.1 %s\r\nContent-Length: 2\r\n%s\r\nok"


async def main() -> None:  # noqa: C901, PLR0915  (one service, one function)
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "0")))
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
    for name in ("burn-us", "slots", "slot-ms", "sleep-ms", "pause-ms", "leak-kib", "sync-kib"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--backlog", type=int, default=2048)
    parser.add_argument("--refuse", type=float, default=0.0, help="share of responses with status 503")
    parser.add_argument("--lose", type=float, default=0.0, help="share of requests without a response")
    args = parser.parse_args()
    slots = asyncio.Semaphore(args.slots or 1)
    kept: list[bytearray] = []
    file = tempfile.TemporaryFile(dir=".") if args.sync_kib else None  # noqa: SIM115  (open while it serves)
    count = 0

    async def work() -> bytes:
        nonlocal count
        count += 1
        if args.burn_us:
            until = time.thread_time() + args.burn_us / 1e6
            while time.thread_time() < until:
                pass
        if args.slots:
            async with slots:
                await asyncio.sleep(args.slot_ms / 1000)
        if args.sleep_ms:
            await asyncio.sleep(args.sleep_ms / 1000)
        if args.leak_kib:
            kept.append(bytearray(os.urandom(1024) * args.leak_kib))
        if file:
            os.pwrite(file.fileno(), bytes(1024 * args.sync_kib), 0)
            os.fsync(file.fileno())
        if is_selected(args.lose):
            await asyncio.sleep(3600)
        return b"503 No" if is_selected(args.refuse) else b"200 OK"

    def is_selected(share: float) -> bool:
        """Return whether this request belongs to an evenly spread share of all."""
        return (count * share) % 1 + share > 0.999999

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                status = b"200 OK" if head.startswith(b"GET /healthz") else await work()
                closing = b"Connection: close" in head
                writer.write(RESPONSE % (status, b"Connection: close\r\n" if closing else b""))
                await writer.drain()
                if closing:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def pause() -> None:
        """Stop accepting, as a stop-the-world collection does, without using CPU."""
        while args.pause_ms:
            await asyncio.sleep(args.pause_ms / 1000)
            time.sleep(args.pause_ms / 1000)

    server = await asyncio.start_server(serve, args.host, args.port, backlog=args.backlog)
    async with server:
        await pause()
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
