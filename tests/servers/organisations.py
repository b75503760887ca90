"""A service with state, for hooks: organisations are created, requested and deleted.

python -m tests.servers.organisations --port N [--journal FILE]

POST /orgs responds with an id and a token; GET /orgs/ID needs the token; DELETE /orgs/ID removes it.
Each request that changes something is a line in the journal.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

TOKEN = "tok-0123456789abcdef"
FIRST_ID = 41


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    journal = Path("/dev/null")
    orgs: ClassVar[dict[int, object]] = {}

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.respond(200)
        elif self.key not in self.orgs:
            self.respond(404, {"error": f"no org {self.key}"})
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.respond(401, {"error": "no token"})
        else:
            self.respond(200, {"id": self.key})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.note(f"POST {self.path} {body.decode()}")
        if self.path == "/orgs":
            key = FIRST_ID + len(self.orgs)
            self.orgs[key] = json.loads(body)
            self.respond(201, {"id": key, "token": TOKEN}, Location=f"/orgs/{key}")
        else:
            self.respond(200, {"received": body.decode()})

    def do_DELETE(self) -> None:
        self.note(f"DELETE {self.path}")
        self.respond(204 if self.orgs.pop(self.key, None) else 404)

    @property
    def key(self) -> int:
        tail = self.path.rpartition("/")[2]
        return int(tail) if tail.isdecimal() else 0

    def respond(self, status: int, content: object = None, **headers: str) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def note(self, line: str) -> None:
        with self.journal.open("a") as file:
            file.write(f"{line}\n")

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, default=Path("/dev/null"))
    args = parser.parse_args()
    Handler.journal = args.journal
    ThreadingHTTPServer(("127.0.0.1", args.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
