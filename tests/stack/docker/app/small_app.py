"""A service of three routes and several faults, small enough to be built in a second."""

import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULT = os.environ.get("FAULT", "")
COUNTS = {"requests": 0}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._respond(503 if FAULT == "never-ready" else 200, "ok")
        elif self.path == "/metrics":
            self._respond(200, f"app_requests_total {COUNTS['requests']}\n")
        elif self.path == "/peer":
            self._respond(200, str(self.client_address))
        elif self.path.startswith("/environment/"):
            value = os.environ[self.path.rpartition("/")[2]]
            print(f"small_app: the value is {value}", flush=True)
            self._respond(200, value)
        elif self.path == "/exit":
            print("small_app: exit requested", flush=True)
            os._exit(3)
        elif self.path == "/eat":
            self._respond(200, "eating")
            threading.Thread(target=eat).start()
        else:
            COUNTS["requests"] += 1
            if FAULT == "dies-soon" and COUNTS["requests"] > 30:
                print("small_app: that was enough", flush=True)
                os._exit(9)
            self._respond(200, socket.gethostname())

    def _respond(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def eat() -> None:
    print("small_app: eating all memory", flush=True)
    eaten = []
    while True:
        eaten.append(b"x" * 8_000_000)


if FAULT == "exits-at-start":
    print("small_app: no database at all", file=sys.stderr)
    sys.exit(7)
if FAULT == "silent":
    print("small_app: thinking", flush=True)
    time.sleep(600)
ThreadingHTTPServer.request_queue_size = 1024
address = (os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8080")))
ThreadingHTTPServer(address, Handler).serve_forever()
