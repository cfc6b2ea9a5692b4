"""The login token of the operators' page, in a file that its owner alone may read."""

from __future__ import annotations

import secrets
from pathlib import Path

from node.rpc.private_files import write_private
from node.runtime.consortium_directory import ConsortiumDirectory

TOKEN_FILE = "login.token"
TOKEN_BYTES = 24


def new_login_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def write_login_token(directory: ConsortiumDirectory) -> Path:
    """Make a new login token for the page of this directory; return its file, of mode 0600."""
    directory.dashboard.mkdir(mode=0o700, exist_ok=True)
    path = directory.dashboard / TOKEN_FILE
    write_private(path, new_login_token().encode("ascii"))
    return path
