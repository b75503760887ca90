"""Log-in as OpenID Connect providers do it: a page with a form, a redirect with a code, tokens.

Each code and each refresh token is good for one use. A form that is sent without the cookie of its own
page is refused, so a client that mixes the cookies of its users is found out.
"""

from __future__ import annotations

import hmac
import html
import secrets
from collections import Counter
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app_server.bodies import form_of, refused
from app_server.kept import Kept

_SESSION: Final = "auth_session"
_PATH: Final = "/oidc"
_LIFETIME_S: Final = 300
_MAX_PARAMETER: Final = 2000


@dataclass(frozen=True, slots=True)
class _Login:
    """A log-in page that was opened, or a log-in that succeeded."""

    client: str
    redirect: str
    state: str
    session: str
    user: str = ""


class Identity:
    """The provider.

    Args:
        limit: How many pages, codes and tokens of each kind are kept.
        counts: Where what happened is counted.
    """

    def __init__(self, limit: int, counts: Counter[str]) -> None:
        self._pages: Kept[_Login] = Kept(limit)
        self._codes: Kept[_Login] = Kept(limit)
        self._access: Kept[str] = Kept(limit)
        self._refresh: Kept[str] = Kept(limit)
        self._counts = counts

    def routes(self) -> list[Route]:
        """Return where it responds."""
        return [
            Route(f"{_PATH}/authorize", self._authorize),
            Route(f"{_PATH}/login", self._log_in, methods=["POST"]),
            Route(f"{_PATH}/token", self._token, methods=["POST"]),
            Route(f"{_PATH}/userinfo", self._user_info),
        ]

    async def _authorize(self, request: Request) -> Response:
        """Respond with the form; its action has the execution that only this page knows."""
        given = {name: value[:_MAX_PARAMETER] for name, value in request.query_params.items()}
        client, redirect = given.get("client_id", ""), given.get("redirect_uri", "")
        if not client or not redirect.startswith(("http://", "https://")) or not redirect.isprintable():
            return self._refuse(400, "client_id and redirect_uri are required")
        known = request.cookies.get(_SESSION, "")[:_MAX_PARAMETER]
        session = known or secrets.token_hex(16)
        page = self._pages.add(_Login(client, redirect, given.get("state", ""), session))
        action = str(request.url.replace(path=f"{_PATH}/login", query=urlencode(_action(page, client))))
        self._counts["oidc_pages"] += 1
        response = HTMLResponse(_FORM.format(action=html.escape(action)))
        if not known:
            response.set_cookie(_SESSION, session, path=_PATH, httponly=True, samesite="lax")
        return response

    async def _log_in(self, request: Request) -> Response:
        """Respond with a redirect to the client, which has the code."""
        page = self._pages.get(request.query_params.get("execution", ""))
        if page is None:
            return self._refuse(400, "this form is not known, or was sent before")
        if request.cookies.get(_SESSION) != page.session:
            return self._refuse(400, "the cookie is not that of the form's page", "oidc_foreign_cookies")
        form = await form_of(request)
        user = form.get("username", "")
        if not user or not hmac.compare_digest(form.get("password", "").encode(), _password(user)):
            return self._refuse(401, "wrong user or password")
        self._pages.take(request.query_params["execution"])
        code = self._codes.add(_Login(page.client, page.redirect, page.state, page.session, user))
        self._counts["oidc_logins"] += 1
        joint = "&" if "?" in page.redirect else "?"
        where = urlencode({"state": page.state, "session_state": page.session, "code": code})
        return RedirectResponse(f"{page.redirect}{joint}{where}", status_code=302)

    async def _token(self, request: Request) -> Response:
        form = await form_of(request)
        match form.get("grant_type"):
            case "authorization_code":
                login = self._codes.take(form.get("code", ""))
                if login is None:
                    return self._refuse(400, "the code is not known, or was used before", "oidc_bad_codes")
                if (login.client, login.redirect) != (form.get("client_id"), form.get("redirect_uri")):
                    return self._refuse(400, "client_id or redirect_uri is not that of the log-in")
                self._counts["oidc_tokens"] += 1
                return self._tokens(login.user)
            case "refresh_token":
                user = self._refresh.take(form.get("refresh_token", ""))
                if user is None:
                    reason = "the refresh token is not known, or was used before"
                    return self._refuse(400, reason, "oidc_bad_refreshes")
                self._counts["oidc_refreshes"] += 1
                return self._tokens(user)
            case _:
                return self._refuse(400, "grant_type should be authorization_code or refresh_token")

    def _tokens(self, user: str) -> Response:
        tokens = {
            "access_token": self._access.add(user),
            "token_type": "Bearer",
            "expires_in": _LIFETIME_S,
            "refresh_token": self._refresh.add(user),
        }
        return JSONResponse(tokens, headers={"cache-control": "no-store"})

    async def _user_info(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        user = self._access.get(token) if scheme.lower() == "bearer" else None
        if not user:
            return self._refuse(401, "log in first")
        self._counts["oidc_user_infos"] += 1
        return JSONResponse({"sub": user, "preferred_username": user})

    def _refuse(self, status: int, why: str, count: str = "oidc_refused") -> Response:
        self._counts[count] += 1
        return refused(status, why)


_FORM: Final = """<!doctype html>
<html lang="en"><head><title>Log in</title></head><body>
<form id="login" action="{action}" method="post">
  <label>User <input name="username" autocomplete="username"></label>
  <label>Password <input name="password" type="password"></label>
  <button>Log in</button>
</form></body></html>
"""


def _action(page: str, client: str) -> dict[str, str]:
    return {"execution": page, "client_id": client}


def _password(user: str) -> bytes:
    """Return the password of a user: everyone has one, and no two are the same."""
    return f"secret-of-{user}".encode()
