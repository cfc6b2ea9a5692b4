"""Login token, sessions, and tokens against forged requests."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from node.dashboard.errors import PageError
from node.dashboard.sessions import (
    ATTEMPTS,
    ATTEMPTS_WINDOW_S,
    MAX_SESSIONS,
    SESSION_S,
    Sessions,
    key_of,
)

TOKEN = "the-token-of-these-tests"


@dataclass
class Clock:
    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(TOKEN, clock)


def refused(sessions: Sessions, token: str) -> tuple[int, str]:
    with pytest.raises(PageError) as error:
        sessions.login(token)
    return error.value.status, error.value.code


def test_the_token_opens_a_session_that_its_cookie_finds(sessions: Sessions) -> None:
    cookie, session = sessions.login(TOKEN)
    assert sessions.find(cookie) == session
    assert cookie not in repr(session) and session.key == key_of(cookie)
    assert sessions.find(cookie + "x") is None
    assert sessions.find("") is None
    assert sessions.find(session.key) is None


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\udcff", "ä" * 99])
def test_anything_else_opens_none(sessions: Sessions, token: str) -> None:
    assert refused(sessions, token) == (403, "wrong-token")


def test_a_session_ends_by_itself(sessions: Sessions, clock: Clock) -> None:
    cookie, _ = sessions.login(TOKEN)
    clock.now_s += SESSION_S - 1
    assert sessions.find(cookie) is not None
    clock.now_s += 1
    assert sessions.find(cookie) is None


def test_logging_out_ends_it(sessions: Sessions) -> None:
    (cookie, session), (other, _) = sessions.login(TOKEN), sessions.login(TOKEN)
    sessions.logout(session)
    assert sessions.find(cookie) is None and sessions.find(other) is not None


def test_wrong_tokens_are_counted_over_all_callers(sessions: Sessions, clock: Clock) -> None:
    for _ in range(ATTEMPTS):
        assert refused(sessions, "wrong")[0] == 403
    assert refused(sessions, "wrong") == (429, "too-many-attempts")
    assert refused(sessions, TOKEN) == (429, "too-many-attempts")
    clock.now_s += ATTEMPTS_WINDOW_S
    assert sessions.find(sessions.login(TOKEN)[0]) is not None


def test_the_oldest_session_makes_room(sessions: Sessions) -> None:
    cookies = [sessions.login(TOKEN)[0] for _ in range(MAX_SESSIONS + 1)]
    assert [cookie for cookie in cookies if sessions.find(cookie) is None] == cookies[:1]


def test_a_csrf_token_is_of_one_session_of_one_server(sessions: Sessions) -> None:
    (_, one), (_, other) = sessions.login(TOKEN), sessions.login(TOKEN)
    sessions.require_csrf(one, sessions.csrf(one.key))
    for token in ("", sessions.csrf(other.key), Sessions(TOKEN).csrf(one.key), "\udcff"):
        with pytest.raises(PageError, match="does not carry"):
            sessions.require_csrf(one, token)
