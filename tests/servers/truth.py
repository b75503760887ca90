"""A server of exactly known behaviour, to check an instrument against.

    python -m tests.servers.truth --mode MODE [--port N]

It prints its port, then serves on loopback with one thread and epoll. On SIGTERM it prints a line of JSON:
the number of requests, the CPU time burned for them, (mode `arrivals`) the kernel's receive timestamps of the
requests in nanoseconds and (`mixture`, `freeze`) how long each really took, from the kernel's receive
timestamp to the end of the call that sent the response, in nanoseconds; `took_to_send` is until it began.
On loopback the response arrives within that call, which also wakes who waits for it.

Modes:
    plain       20 bytes at once
    mixture     1 ms for 80 %, 10 ms for 16 %, 50 ms for 4 % of requests, in a fixed cycle
    freeze      at once, but stops for 500 ms every 5 s
    burn        burns 100 µs of its own CPU per request
    arrivals    at once, recording when each request arrived
"""

import argparse
import heapq
import json
import select
import signal
import socket
import struct
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789"
FREEZE_EVERY_S, FREEZE_S = 5.0, 0.5
BURN_S = 100e-6
CYCLE_MS = [1] * 20 + [10] * 4 + [50]
STAMP = struct.Struct("qq")


class Server:
    def __init__(self, mode: str, port: int) -> None:
        self.mode = mode
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener.fileno(), select.EPOLLIN)
        self.clients: dict[int, socket.socket] = {}
        self.later: list[tuple[float, int, bool, int]] = []
        self.took: list[int] = []
        self.took_to_send: list[int] = []
        self.answered = 0
        self.burned_s = 0.0
        self.arrivals: list[int] = []

    def serve(self, stopped) -> None:
        began = time.monotonic()
        thaw = began + FREEZE_EVERY_S
        while not stopped():
            wait = 0.05
            if self.later:
                wait = max(0.0, min(wait, self.later[0][0] - time.monotonic()))
            # A whole-millisecond epoll time-out would blur the delays that the tests rely on.
            ready, _, _ = select.select([self.epoll], [], [], wait)
            if self.mode == "freeze" and time.monotonic() >= thaw:
                time.sleep(max(0.0, thaw + FREEZE_S - time.monotonic()))
                thaw += FREEZE_EVERY_S
            for fd, mask in self.epoll.poll(0) if ready else ():
                if fd == self.listener.fileno():
                    self.accept()
                elif fd in self.clients:
                    self.attend(fd, mask)
            while self.later and self.later[0][0] <= time.monotonic():
                _, fd, closing, arrived = heapq.heappop(self.later)
                self.took_to_send.append(time.time_ns() - arrived)
                self.answer(fd, closing)
                self.took.append(time.time_ns() - arrived)

    def accept(self) -> None:
        for _ in range(64):
            try:
                client, _ = self.listener.accept()
            except BlockingIOError:
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.mode in ("arrivals", "mixture", "freeze"):
                client.setsockopt(socket.SOL_SOCKET, 35, 1)
            self.clients[client.fileno()] = client
            self.epoll.register(client.fileno(), select.EPOLLIN)

    def attend(self, fd: int, mask: int) -> None:
        try:
            data, ancillary, _, _ = self.clients[fd].recvmsg(65536, socket.CMSG_SPACE(16))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close(fd)
            return
        closing = b"Connection: close" in data
        if self.mode == "arrivals" and ancillary:
            seconds, nanoseconds = STAMP.unpack(ancillary[0][2])
            self.arrivals.append(seconds * 10**9 + nanoseconds)
        seconds, nanoseconds = STAMP.unpack(ancillary[0][2]) if ancillary else (0, time.time_ns())
        arrived = seconds * 10**9 + nanoseconds
        if self.mode == "mixture":
            delay_s = CYCLE_MS[self.answered % len(CYCLE_MS)] / 1000
            self.answered += 1
            heapq.heappush(self.later, (time.monotonic() + delay_s, fd, closing, arrived))
            return
        if self.mode == "burn":
            before = time.thread_time()
            while time.thread_time() - before < BURN_S:
                pass
            self.burned_s += time.thread_time() - before
        self.answered += 1
        if self.mode == "freeze":
            self.took_to_send.append(time.time_ns() - arrived)
        self.answer(fd, closing)
        if self.mode == "freeze":
            self.took.append(time.time_ns() - arrived)

    def answer(self, fd: int, closing: bool) -> None:
        client = self.clients.get(fd)
        if client is None:
            return
        try:
            client.send(ANSWER)
        except OSError:
            closing = True
        if closing:
            self.close(fd)

    def close(self, fd: int) -> None:
        self.clients.pop(fd).close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=("plain", "mixture", "freeze", "burn", "arrivals"), default="plain")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    server = Server(args.mode, args.port)
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    print(server.listener.getsockname()[1], flush=True)
    server.serve(lambda: bool(stop))
    told = {
        "answered": server.answered,
        "burned_s": server.burned_s,
        "cpu_s": time.process_time(),
        "arrivals": server.arrivals,
        "took": server.took,
        "took_to_send": server.took_to_send,
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
