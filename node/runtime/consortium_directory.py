"""Layout of a local consortium on disk: one directory that `consortium up` owns.

```
genesis.json                  what all banks agree on; public
certificates/ca.crt, ca.key   the consortium's certificate authority
banks/03-dunmere/             one bank: node.toml, keys/, node.log, database.url, signing.guard
clients/NAME/                 certificate and key of a bank's clients, under the bank's name
regulator/                    the regulator's certificate, the key that opens ballots, and the
                              secret that decides which blocks it examines
operator/                     the operator's certificate and key
wallets/NAME.wallet           encrypted wallet files, with their key file when no passphrase is set
postgres/                     the embedded database server; where each bank has a machine of its
                              own, postgres/03-dunmere/ is that bank's
dashboard/                    login token, certificate and log of the operators' page
run/                          process ids and addresses of the running consortium
```
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex
from node.runtime.config import ConfigurationError

BANK_NAMES = (
    "Amberfield",
    "Birchmoor",
    "Cedarholm",
    "Dunmere",
    "Elmstow",
    "Fernhollow",
    "Glenwick",
    "Heathmark",
    "Ivoryport",
    "Junovale",
    "Kestrelby",
    "Larkhaven",
    "Mistralee",
    "Northolme",
    "Oakenford",
    "Pinemarch",
)
"""Fictional names whose initials are the bank's position in the alphabet."""

PUBLIC_SHARE = (2, 3)
"""Two thirds of the banks are public sector: 8 of 12."""


def short_name(bank: int) -> str:
    """Return the name used on the command line, for example `dunmere`."""
    return BANK_NAMES[bank].lower()


@dataclass(frozen=True, slots=True)
class ConsortiumDirectory:
    """Paths below one consortium's directory."""

    root: Path

    @property
    def genesis_file(self) -> Path:
        return self.root / "genesis.json"

    @property
    def pending_ledger_file(self) -> Path:
        """Present while a ledger that was made elsewhere is being installed."""
        return self.root / "ledger.pending"

    @property
    def workload_note(self) -> Path:
        """Names the workload file that the ledger began with, if it did."""
        return self.root / "workload.path"

    @property
    def certificates(self) -> Path:
        return self.root / "certificates"

    @property
    def operator(self) -> Path:
        return self.root / "operator"

    @property
    def clients(self) -> Path:
        return self.root / "clients"

    def client(self, bank: int) -> Path:
        """Credentials of the clients of one bank."""
        return self.clients / short_name(bank)

    @property
    def regulator(self) -> Path:
        return self.root / "regulator"

    @property
    def dashboard(self) -> Path:
        """Of the operators' page; for its operators' eyes only."""
        return self.root / "dashboard"

    @property
    def wallets(self) -> Path:
        return self.root / "wallets"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    def own_postgres(self, bank: int) -> Path:
        """Of one bank's own database server, where banks have machines of their own."""
        return self.postgres / self.bank(bank).root.name

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def state_file(self) -> Path:
        """Addresses and process ids of the running consortium, as JSON."""
        return self.run / "consortium.json"

    @property
    def banks(self) -> Path:
        return self.root / "banks"

    def bank(self, bank: int) -> BankDirectory:
        return BankDirectory(self.banks / f"{bank:02d}-{short_name(bank)}", bank)

    def exists(self) -> bool:
        return self.genesis_file.exists()

    def genesis(self) -> Genesis:
        """Load the genesis; raises `ConfigurationError` if the directory holds no consortium."""
        if not self.exists():
            raise ConfigurationError(
                f"{self.root} holds no consortium; `consortium up --data {self.root}` starts one"
            )
        return Genesis.from_json_object(json.loads(self.genesis_file.read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True)
class BankDirectory:
    """Paths of one bank."""

    root: Path
    bank: int

    @property
    def index(self) -> BankIndex:
        return BankIndex(self.bank)

    @property
    def short_name(self) -> str:
        return short_name(self.bank)

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def config_file(self) -> Path:
        return self.root / "node.toml"

    @property
    def log_file(self) -> Path:
        return self.root / "node.log"

    @property
    def database_url_file(self) -> Path:
        return self.root / "database.url"

    @property
    def guard_file(self) -> Path:
        return self.root / "signing.guard"
