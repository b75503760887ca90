"""A provider of pull requests that keeps state, on loopback: GitHub, Gitea or GitLab by its dialect.

GitHub's answers are held against its own description (see described.py). GitLab's and Gitea's shapes are
those of their documentation: docs.gitlab.com/api/notes and the Swagger page of any Gitea at /api/swagger.
"""

import json
import re
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from tests.publish.described import violations

WHEN = "2026-11-23T12:00:00Z"
TOKEN = "ghs_fake0123456789secret"  # what no output may contain


@dataclass
class Fault:
    """Something that goes wrong with requests of a method, a few times.

    `after`: the request takes effect before it goes wrong. `cut`: no answer at all.
    """

    method: str
    status: int = 502
    message: str = "Bad gateway"
    headers: dict = field(default_factory=dict)
    after: bool = False
    cut: bool = False


@dataclass
class State:
    """What a provider remembers."""

    dialect: str = "github"
    most: int = 65_536
    comments: dict = field(default_factory=dict)  # id -> (author, body)
    users: dict = field(default_factory=lambda: {TOKEN: "ci-bot"})
    apps: set = field(default_factory=set)  # tokens that may not GET /user
    viewer: bool = True
    forbidden: bool = False
    pulls: list = field(default_factory=list)
    faults: deque = field(default_factory=deque)
    seen: list = field(default_factory=list)
    broken_rules: list = field(default_factory=list)
    before_answer: object = None  # called with (method, path) before the answer is sent
    moved: str = ""  # host that octo/old has moved to
    next_page: str = ""  # host of all pages after the first
    lock: threading.RLock = field(default_factory=threading.RLock)
    count: int = 0

    def write(self, author, body):
        with self.lock:
            self.count += 1
            self.comments[self.count] = (author, body)
            return self.count

    def bodies(self, author="ci-bot"):
        return [body for who, body in self.comments.values() if who == author]

    def methods(self):
        return [method for method, _ in self.seen]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one segment

    def log_message(self, *arguments):
        pass

    def handle_any(self):
        state = self.server.state
        url = urlsplit(self.path)
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        with state.lock:
            state.seen.append((self.command, self.path))
            fault = self._fault(state)
            if fault and not fault.after:
                answer = (fault.status, {"message": fault.message}, fault.headers)
            else:
                answer = self._answer(state, url, body)
            if fault and fault.after:
                answer = (fault.status, {"message": fault.message}, fault.headers)
        if state.before_answer:
            state.before_answer(self.command, url.path)
        if fault and fault.cut:
            self.close_connection = True
            return
        status, data, headers = answer
        if state.dialect == "github" and not fault and status != 301:
            query = dict(parse_qsl(url.query))
            state.broken_rules += violations(self.command, url.path, query, body, status, data)
        self._send(status, data, headers)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815  (names of http.server)

    def _fault(self, state):
        if state.faults and state.faults[0].method in {self.command, "*"}:
            return state.faults.popleft()
        return None

    def _send(self, status, data, headers):
        content = b"" if data is None else json.dumps(data).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if content:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, state, url, body):
        token = self._token(state)
        who = state.users.get(token)
        if who is None:
            return self._error(401, "Bad credentials")
        if "/octo/old/" in self.path:
            return (
                301,
                {"message": "Moved Permanently"},
                {"Location": state.moved + self.path.replace("old", "shop")},
            )
        for pattern, method in ROUTES[state.dialect]:
            if match := re.fullmatch(pattern, url.path):
                return getattr(self, method)(state, who, dict(parse_qsl(url.query)), body, *match.groups())
        return self._error(404, "Not Found")

    def _token(self, state):
        if state.dialect == "gitlab":
            return self.headers.get("private-token", "")
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme == {"github": "Bearer", "gitea": "token"}[state.dialect] else ""

    def _error(self, status, message):
        gitlab = self.server.state.dialect == "gitlab"
        data = {"message": message} if gitlab else {"message": message, "documentation_url": "https://docs"}
        return status, data, {}

    def user(self, state, who, query, body):
        if self._token(state) in state.apps:
            return self._error(403, "Resource not accessible by integration")
        if state.dialect == "gitlab":
            return 200, {"id": 1, "username": who, "bot": False}, {}
        return 200, (gitea_user(who) if state.dialect == "gitea" else public_user(who)), {}

    def graphql(self, state, who, query, body):
        if not state.viewer:
            return 200, {"data": None, "errors": [{"message": "no"}]}, {}
        return 200, {"data": {"viewer": {"login": who}}}, {}

    def pulls(self, state, who, query, body):
        return 200, state.pulls, {}

    def all(self, state, who, query, body, *place):
        if self.command == "POST":
            return self.write(state, who, body)
        size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        if state.dialect == "gitea":
            size = 10**9
        shown = sorted(state.comments.items())[(page - 1) * size : page * size]
        more = len(state.comments) > page * size or bool(state.next_page)
        headers = {}
        if more and state.dialect == "github":
            host = state.next_page or f"http://{self.headers['host']}"
            path = self.path.partition("?")[0]
            following = f'<{host}{path}?per_page={size}&page={page + 1}>; rel="next"'
            headers = {"Link": f'{following}, <{host}{path}?page=99>; rel="last"'}
        if state.dialect == "gitlab":
            headers = {"X-Next-Page": str(page + 1) if more else ""}
        return 200, [self._shown(comment) for comment in shown], headers

    def write(self, state, who, body):
        if state.forbidden:
            return self._error(403, "Resource not accessible by integration")
        if refused := self._too_long(state, body):
            return refused
        number = state.write(who, body["body"])
        return 201, self._shown((number, state.comments[number])), {}

    def one(self, state, who, query, body, *place):
        number = int(place[-1])
        if number not in state.comments:
            return self._error(404, "404 Note Not Found" if state.dialect == "gitlab" else "Not Found")
        author, _ = state.comments[number]
        if author != who or state.forbidden:
            return self._error(403, "Must have admin rights to Repository.")
        if self.command == "DELETE":
            del state.comments[number]
            return 204, None, {}
        if self.command != ("PUT" if state.dialect == "gitlab" else "PATCH"):
            return self._error(405, "Method Not Allowed")
        if refused := self._too_long(state, body):
            return refused
        state.comments[number] = (author, body["body"])
        return 200, self._shown((number, state.comments[number])), {}

    def _too_long(self, state, body):
        if len(body["body"]) <= state.most:
            return None
        message = f"is too long (maximum is {state.most} characters)"
        if state.dialect == "gitlab":
            return 400, {"message": {"note": [message]}}, {}
        error = {
            "resource": "IssueComment",
            "code": "unprocessable",
            "field": "data",
            "message": f"Body {message}",
        }
        return (
            422,
            {"message": "Validation Failed", "errors": [error], "documentation_url": "https://docs"},
            {},
        )

    def _shown(self, item):
        number, (author, body) = item
        if self.server.state.dialect == "gitlab":
            return {
                "id": number, "body": body, "author": {"id": 1, "username": author},
                "system": author == "system", "created_at": WHEN, "updated_at": WHEN,
            }  # fmt: skip
        if self.server.state.dialect == "gitea":
            return {
                "id": number,
                "body": body,
                "user": gitea_user(author),
                "created_at": WHEN,
                "updated_at": WHEN,
            }
        url = f"https://api.github.com/repos/octo/shop/issues/comments/{number}"
        return {
            "id": number, "node_id": f"IC_{number}", "url": url, "html_url": url, "body": body,
            "user": simple_user(author), "created_at": WHEN, "updated_at": WHEN, "author_association": "NONE",
            "issue_url": "https://api.github.com/repos/octo/shop/issues/7",
        }  # fmt: skip


ROUTES = {
    "github": [
        (r"/user", "user"),
        (r"/graphql", "graphql"),
        (r"/repos/octo/shop/pulls", "pulls"),
        (r"/repos/octo/shop/issues/(7)/comments", "all"),
        (r"/repos/octo/shop/issues/comments/(\d+)", "one"),
    ],
    "gitea": [
        (r"/api/v1/user", "user"),
        (r"/api/v1/repos/octo/shop/issues/(7)/comments", "all"),
        (r"/api/v1/repos/octo/shop/issues/comments/(\d+)", "one"),
    ],
    "gitlab": [
        (r"/api/v4/user", "user"),
        (r"/api/v4/projects/octo%2Fshop/merge_requests/(7)/notes", "all"),
        (r"/api/v4/projects/octo%2Fshop/merge_requests/(7)/notes/(\d+)", "one"),
    ],
}


def simple_user(login):
    url = f"https://api.github.com/users/{login}"
    kinds = (
        "followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events",
        "received_events",
    )  # fmt: skip
    return {
        "login": login, "id": 1, "node_id": "U_1", "avatar_url": url, "gravatar_id": "", "url": url,
        "html_url": url, "type": "Bot" if login.endswith("[bot]") else "User", "site_admin": False,
        **{f"{kind}_url": url for kind in kinds},
    }  # fmt: skip


def public_user(login):
    nothing = ("name", "company", "blog", "location", "email", "hireable", "bio")
    counts = ("public_repos", "public_gists", "followers", "following")
    return {
        **simple_user(login), **dict.fromkeys(nothing), **dict.fromkeys(counts, 0),
        "created_at": WHEN, "updated_at": WHEN,
    }  # fmt: skip


def gitea_user(login):
    return {"id": 1, "login": login, "full_name": "", "email": "", "username": login}


@contextmanager
def provider(dialect="github", **changes):
    """A provider that is up; what it saw is in the state afterwards."""
    state = State(dialect=dialect, **changes)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.state = state
    state.url = f"http://127.0.0.1:{server.server_port}"
    state.api = state.url + {"github": "", "gitea": "/api/v1", "gitlab": "/api/v4"}[dialect]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


__all__ = ["TOKEN", "Fault", "State", "provider"]
