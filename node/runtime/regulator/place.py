"""Where a local regulator keeps its files, and how others find it while it runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.secrets_directory import read_private

DATABASE_NAME = "consortium_regulator"


class RegulatorRunning(Exception):
    """Another process is this regulator already; the message says how to see it."""


@dataclass(frozen=True, slots=True)
class RegulatorPlace:
    """The regulator's part of a consortium's directory."""

    directory: ConsortiumDirectory

    @property
    def short_name(self) -> str:
        """What messages call it."""
        return "the regulator"

    @property
    def root(self) -> Path:
        """Certificate, secrets, database URL and log; for the regulator's eyes only."""
        return self.directory.regulator

    @property
    def database_url_file(self) -> Path:
        return self.root / "database.url"

    @property
    def log_file(self) -> Path:
        return self.root / "regulator.log"

    @property
    def address_file(self) -> Path:
        """Where the running regulator listens; public."""
        return self.directory.run / "regulator.json"

    def database_url(self) -> str:
        """Return the URL of the regulator's database; raises `ConfigurationError`."""
        return read_private(self.database_url_file).decode("utf-8").strip()

    def write_address(self, address: str) -> None:
        """Tell where the regulator listens."""
        temporary = self.address_file.with_suffix(".new")
        document = {"address": address, "pid": os.getpid()}
        temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")
        os.replace(temporary, self.address_file)

    def forget_address(self) -> None:
        """Take the address back."""
        self.address_file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one process that is this regulator; raises `RegulatorRunning`.

        Two would settle, draw and count on one database, and the first to stop would take the
        address of the other back.
        """
        self.directory.run.mkdir(parents=True, exist_ok=True)
        path = self.directory.run / "regulator.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RegulatorRunning(
                    f"the regulator of {self.directory.root} runs already in another process; "
                    f"`consortium regulator status --data {self.directory.root}` shows it"
                ) from None
            yield
        finally:
            os.close(descriptor)

    def address(self) -> str | None:
        """Return where the regulator listens, None if it does not run."""
        try:
            return str(json.loads(self.address_file.read_text(encoding="utf-8"))["address"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{self.address_file}: {error}") from error
