"""Answers with its host name on two ports; /store is the answer of the service `store`."""

import os
import signal
import socket
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = self.path != "/absent"
        body = socket.gethostname().encode()
        if self.path == "/store":
            with urllib.request.urlopen("http://store:8080/", timeout=5) as response:
                body = response.read()
        if self.path == "/variables":
            body = repr(dict(os.environ)).encode()
        if self.path == "/exit":
            print("asked to exit", file=sys.stderr, flush=True)
            os._exit(7)
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True


print("the secret is", os.environ.get("API_TOKEN"), flush=True)
threading.Thread(target=Server(("127.0.0.1", 9090), Handler).serve_forever, daemon=True).start()
Server(("0.0.0.0", 8080), Handler).serve_forever()
