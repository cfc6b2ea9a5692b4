"""The wallets of a data directory: finding, making and opening them by name.

Beside `NAME.wallet` lies what opens it unattended, `NAME.key`, unless the wallet has a passphrase,
and `NAME.address`: the newest address as text, so that others in this directory can pay a wallet
by its name while it is open elsewhere, or without its passphrase. Whoever may write here could
put another address there; the directory is its owner's alone (mode 0700).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import click

from crypto.note import SessionKeys
from node.cli.access import Consortium, nobody_answers
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.options import find_bank
from node.client import (
    KeyFile,
    Passphrase,
    Wallet,
    WalletFile,
    decode_address,
    encode_address,
    list_wallets,
)
from node.client.address import PREFIX
from node.client.errors import AddressInvalid, LedgerUnavailable, WalletExists
from node.client.wallet_data import WalletData
from node.client.wallet_file import Secret, require_valid_name
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.runtime.secrets_directory import read_private, write_private

KEY_SUFFIX = ".key"
ADDRESS_SUFFIX = ".address"

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    envvar="CONSORTIUM_PASSPHRASE_FILE",
    show_envvar=True,
    help="File (mode 0600) whose first line is the wallet's passphrase; - asks for it.",
)


@dataclass(frozen=True, slots=True)
class WalletBook:
    """The wallets of one consortium's directory."""

    consortium: Consortium
    passphrase_file: Path | None = None

    @property
    def directory(self) -> Path:
        return self.consortium.directory.wallets

    @property
    def names(self) -> tuple[str, ...]:
        """Every wallet there is, sorted."""
        return list_wallets(self.directory)

    def has_key_file(self, name: str) -> bool:
        """Whether the wallet opens unattended."""
        return self._beside(name, KEY_SUFFIX).exists()

    def require(self, name: str) -> str:
        """Return the name of a wallet that is there; the failure lists those there are."""
        if name in self.names:
            return name
        listed = ", ".join(self.names)
        raise CommandFailed(
            f"there is no wallet {name!r} in {self.directory}",
            f"the wallets are {listed}" if listed else "make one: `consortium wallet new NAME`",
            EXIT_USAGE,
        )

    def open_file(self, name: str) -> tuple[WalletFile, WalletData]:
        """Open a wallet without asking any bank; raises as `WalletFile.open`."""
        return WalletFile.open(self.directory, self.require(name), self._secret_of(name))

    def home_of(self, data: WalletData) -> BankIndex:
        """Return the bank that a wallet names as its own, the first one if there is no such."""
        if not data.home_bank:
            return BankIndex(0)
        try:
            return find_bank(self.consortium.genesis, data.home_bank)
        except CommandFailed:
            return BankIndex(0)

    @contextlib.asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Wallet]:
        """Open a wallet with a client that asks its home bank first.

        Raises as `WalletFile.open` and `Wallet.attach`; `CommandFailed` if no bank answers.
        """
        file, data = self.open_file(name)
        try:
            self._remember_address(name, data)
            async with self.consortium.ledger(self.home_of(data)) as ledger:
                yield await Wallet.attach(file, data, ledger)
        except LedgerUnavailable as error:
            raise nobody_answers(self.consortium) from error
        finally:
            file.close()

    async def create(self, name: str, home: BankIndex) -> str:
        """Make a wallet whose first choice is this bank; return its address.

        Without a passphrase a key file is made, and taken away again if the wallet is not; one
        that lies there already is used, because it may open a wallet that was put elsewhere.
        Raises as `Wallet.create`; `CommandFailed` if no bank answers.
        """
        require_valid_name(name)
        if name in self.names:
            raise WalletExists(f"there is a wallet {name!r} in {self.directory} already")
        key_file = self._beside(name, KEY_SUFFIX)
        made_key = self.passphrase_file is None and not key_file.exists()
        secret = self._new_secret(key_file)
        try:
            async with self.consortium.ledger(home) as ledger:
                wallet = await Wallet.create(
                    self.directory,
                    name,
                    secret,
                    ledger,
                    home_bank=short_name(home),
                    chain_id=self.consortium.genesis.chain_id,
                )
        except BaseException as error:
            if made_key and name not in self.names:
                key_file.unlink(missing_ok=True)
            if isinstance(error, LedgerUnavailable):
                raise nobody_answers(self.consortium) from error
            raise
        with contextlib.closing(wallet):
            self._write_address(name, wallet.address)
            return wallet.address

    def new_address(self, name: str) -> str:
        """Begin a new session of a wallet and return its address; asks no bank."""
        file, data = self.open_file(name)
        with file:
            begun = replace(data, session_count=data.session_count + 1)
            file.save(begun)
        self._remember_address(name, begun)
        return newest_address(begun)

    def address_of(self, name: str) -> str:
        """Return the newest address of a wallet, without opening it if it is written beside it."""
        address = self.written_address(self.require(name))
        if address is not None:
            return address
        file, data = self.open_file(name)
        file.close()
        self._remember_address(name, data)
        return newest_address(data)

    def written_address(self, name: str) -> str | None:
        """Return the address that is written beside a wallet, None if there is no valid one."""
        try:
            text = self._beside(name, ADDRESS_SUFFIX).read_text(encoding="ascii", errors="replace")
            return encode_address(decode_address(text))
        except (OSError, AddressInvalid):
            return None

    def payee(self, text: str) -> tuple[str, str]:
        """Return who is meant by a wallet's name or an address: what to call them, the address.

        Raises `AddressInvalid`, and `CommandFailed` for an unknown name.
        """
        if text.strip().lower().startswith(PREFIX) and text not in self.names:
            address = encode_address(decode_address(text))
            return abbreviated(address), address
        return text, self.address_of(text)

    def names_by_address(self) -> dict[str, str]:
        """Return the wallets' names by the addresses written beside them."""
        written = {self.written_address(name): name for name in self.names}
        return {address: name for address, name in written.items() if address is not None}

    def _beside(self, name: str, suffix: str) -> Path:
        return self.directory / f"{name}{suffix}"

    def _secret_of(self, name: str) -> Secret:
        if self.has_key_file(name):
            return KeyFile(self._beside(name, KEY_SUFFIX))
        if self.passphrase_file is not None and str(self.passphrase_file) != "-":
            return Passphrase(_read_passphrase(self.passphrase_file))
        if str(self.passphrase_file) == "-" or sys.stdin.isatty():
            return Passphrase(_ask_passphrase(f"Passphrase of {name}"))
        raise CommandFailed(
            f"wallet {name!r} opens with a passphrase, or its key file is gone",
            "give --passphrase-file FILE, or put the key file back",
            EXIT_USAGE,
        )

    def _new_secret(self, key_file: Path) -> Secret:
        if self.passphrase_file is None:
            return KeyFile(key_file) if key_file.exists() else KeyFile.create(key_file)
        if str(self.passphrase_file) == "-":
            return Passphrase(_ask_passphrase("Passphrase", confirm=True))
        return Passphrase(_read_passphrase(self.passphrase_file))

    def _remember_address(self, name: str, data: WalletData) -> None:
        address = newest_address(data)
        if self.written_address(name) != address:
            self._write_address(name, address)

    def _write_address(self, name: str, address: str) -> None:
        write_private(self._beside(name, ADDRESS_SUFFIX), f"{address}\n".encode("ascii"))


def newest_address(data: WalletData) -> str:
    """Return the address of the newest session (IDX1 3.1)."""
    return encode_address(SessionKeys.derive(data.seed, data.session_count - 1).address)


def abbreviated(address: str) -> str:
    """Return the beginning and the end of an address, enough to recognise it."""
    return f"{address[:12]}...{address[-6:]}"


def _read_passphrase(path: Path) -> str:
    lines = read_private(path).decode("utf-8", errors="replace").splitlines()
    if not lines or not lines[0]:
        raise CommandFailed(f"{path} holds no passphrase in its first line", "", EXIT_USAGE)
    return lines[0]


def _ask_passphrase(prompt: str, *, confirm: bool = False) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    asked: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return asked
