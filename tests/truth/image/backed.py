"""A service of the standard library with a pool of connections to Redis.

POOL_SIZE=N python backed.py PORT REDIS_HOST REDIS_PORT COMMAND

Each request takes one of POOL_SIZE connections, sends COMMAND, and waits for its reply, which has to be one
line. With the COMMAND ``LOCK`` it waits for a lock in Redis instead, and holds it for 20 ms.
"""

import asyncio
import os
import sys

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ERROR = b"HTTP/1.1 500 Error\r\nContent-Length: 2\r\n\r\nno"
LINES_OF_A_PAIR = 5


async def ask(connection, command, lines=1):
    """Send a command; return the first line of its reply, which has so many."""
    reader, writer = connection
    words = command.split(" ")
    text = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    writer.write(text.encode())
    first, *_ = [await reader.readline() for _ in range(lines)]
    return first


async def locked(connection):
    reply = await ask(connection, "BLPOP lock 0", LINES_OF_A_PAIR)
    await asyncio.sleep(0.02)
    await ask(connection, "RPUSH lock free")
    return reply


async def main():
    port, host, redis_port, command = sys.argv[1:]
    # kept here: asyncio has weak references only, and a task whose client is gone could be collected
    pool = [await asyncio.open_connection(host, int(redis_port)) for _ in range(int(os.environ["POOL_SIZE"]))]
    if (await ask(pool[0], "SET lock-made 1 NX")).startswith(b"+"):
        await ask(pool[0], "RPUSH lock free")
    free = asyncio.Queue()
    for connection in pool:
        free.put_nowait(connection)

    async def work():
        connection = await free.get()
        reply = await (locked(connection) if command == "LOCK" else ask(connection, command))
        free.put_nowait(connection)
        return ERROR if reply.startswith(b"-") else OK

    async def serve(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                writer.write(OK if head.startswith(b"GET /healthz") else await work())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0", int(port), backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main())
