"""A service that uses as little CPU as Python allows, so that the proxy before it is the limit.

python quick.py PORT
"""

import select
import socket
import sys

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s\r\nok"
KEEP_ALIVE, CLOSE = RESPONSE % b"", RESPONSE % b"Connection: close\r\n"


def main() -> None:
    listener = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=4096)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener.fileno(), select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                try:
                    while True:
                        client, _ = listener.accept()
                        client.setblocking(False)
                        clients[client.fileno()] = client
                        poll.register(client.fileno(), select.EPOLLIN)
                except BlockingIOError:
                    continue
            try:
                request = clients[fd].recv(65536)
                closing = b"Connection: close" in request
                if request:
                    clients[fd].send(CLOSE if closing else KEEP_ALIVE)
            except OSError:
                request = b""
            if not request or closing:
                clients.pop(fd).close()


if __name__ == "__main__":
    main()
