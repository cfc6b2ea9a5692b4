"""The page's own files: small, few, and read again only when they have changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from node.dashboard.errors import not_found

SHELL = "index.html"
MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it was when it was read."""

    etag: str
    content: bytes
    media_type: str


class StaticFiles:
    """The files below one directory; nothing else has a path here."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, StaticFile] = {}

    def answer(self, request: Request, name: str) -> Response:
        """Return a file, or that the browser has it already; raises `PageError`."""
        file = self._current(name)
        headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
        if file.etag in request.headers.get("if-none-match", "").split(", "):
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=file.media_type)

    def _current(self, name: str) -> StaticFile:
        # What is asked for is compared with what is there, never joined to a path unseen.
        if name not in self._files and name not in self._names():
            raise not_found("there is no such file", "begin at /")
        path = self._directory / name
        try:
            status = path.stat()
        except OSError:
            raise not_found("there is no such file any more", "begin at /") from None
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        known = self._files.get(name)
        if known is None or known.etag != etag:
            known = StaticFile(etag, path.read_bytes(), MEDIA_TYPES[path.suffix])
            self._files[name] = known
        return known

    def _names(self) -> frozenset[str]:
        return frozenset(
            path.relative_to(self._directory).as_posix()
            for path in self._directory.rglob("*")
            if path.suffix in MEDIA_TYPES
        )
