"""Who is an operator: the login token, sessions, and tokens against forged requests.

The login token is compared in constant time and may be tried a few times a minute in all. A session
is a random name in a cookie; of the name only its hash is kept, and it ends by itself. The token
against forged requests is derived from the session, so that a page of another origin, which can
neither read the cookie nor an answer, cannot know it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from node.dashboard.errors import PageError

TOKEN_BYTES = 24
SESSION_S = 12 * 3_600.0
MAX_SESSIONS = 256
"""The oldest ends when there are more."""
ATTEMPTS = 10
"""Wrong tokens in a row of a minute before everybody has to wait."""
ATTEMPTS_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """An operator's session."""

    key: str
    """Hash of the cookie, or of the certificate that TLS verified."""
    name: str
    """Of the operator, for people."""
    until_s: float
    """On the clock that was given."""


class Sessions:
    """All sessions of one server."""

    def __init__(self, login_token: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds."""
        self._token = login_token.encode("utf-8")
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._failures: deque[float] = deque()

    def login(self, token: str, name: str = "operator") -> tuple[str, Session]:
        """Open a session; return the cookie's value and the session. Raises `PageError`."""
        now_s = self._clock()
        while self._failures and self._failures[0] <= now_s - ATTEMPTS_WINDOW_S:
            self._failures.popleft()
        if len(self._failures) >= ATTEMPTS:
            raise PageError(
                429, "too-many-attempts", "too many wrong tokens", "try again in a minute"
            )
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._token):
            self._failures.append(now_s)
            raise PageError(
                403,
                "wrong-token",
                "this is not the login token",
                "`consortium dashboard` prints the address with the token",
            )
        cookie = secrets.token_urlsafe(TOKEN_BYTES)
        session = Session(key_of(cookie), name, now_s + SESSION_S)
        self._sessions[session.key] = session
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return cookie, session

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie, None if there is none or it has ended."""
        return self.of_key(key_of(cookie))

    def of_key(self, key: str) -> Session | None:
        """Return the session with this key, None if it has ended."""
        session = self._sessions.get(key)
        if session is not None and session.until_s <= self._clock():
            del self._sessions[key]
            return None
        return session

    def logout(self, session: Session) -> None:
        """End a session."""
        self._sessions.pop(session.key, None)

    def csrf(self, key: str) -> str:
        """Return the token that requests of a session which change something must carry."""
        return hmac.new(self._secret, key.encode("ascii"), hashlib.sha256).hexdigest()

    def require_csrf(self, session: Session, token: str) -> None:
        """Raise `PageError` unless this is the session's token."""
        wanted = self.csrf(session.key).encode("ascii")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), wanted):
            raise PageError(
                403,
                "wrong-csrf-token",
                "the request does not carry the session's token",
                "reload the page; programs read it from /api/session and send X-CSRF-Token",
            )


def key_of(secret: str) -> str:
    """Return what is kept of a cookie's value."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
