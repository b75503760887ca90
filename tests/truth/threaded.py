"""A service with a thread for each connection and PostgreSQL behind it, with the limit its arguments select.

python threaded.py PORT URL POOL STATEMENT

Each request takes one of POOL connections and runs STATEMENT. With a POOL of 0 each opens one of its own.
"""

import queue
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

PORT, URL, POOL, STATEMENT = sys.argv[1:]
free: queue.SimpleQueue = queue.SimpleQueue()


@contextmanager
def connection():
    if POOL == "0":
        with psycopg.connect(URL, autocommit=True) as own:
            yield own
        return
    pooled = free.get()
    try:
        yield pooled
    finally:
        free.put(pooled)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status = 200
        if self.path != "/healthz":
            try:
                with connection() as own:
                    own.execute(STATEMENT)
            except psycopg.Error:
                status = 500
        self.wfile.write(b"HTTP/1.1 %d OK\r\nContent-Length: 2\r\n\r\nok" % status)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True


for _ in range(int(POOL)):
    free.put(psycopg.connect(URL, autocommit=True))
Server(("127.0.0.1", int(PORT)), Handler).serve_forever()
