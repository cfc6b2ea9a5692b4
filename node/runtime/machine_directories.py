"""What each machine of a consortium gets: a directory of its own, with its own secrets alone.

```
03-dunmere/                    goes to the machine of bank 3
    genesis.json               as everywhere
    banks/*/node.toml          of every bank: who listens where; no secrets
    banks/03-dunmere/keys/     what this bank signs with, and its certificate
    operator/                  certificate that operates this bank and no other
    clients/dunmere/           certificate of this bank's customers
regulator/                     goes to the machine of the regulator
    genesis.json, banks/*/node.toml, regulator/
```

Each is a consortium's directory (`consortium_directory`): the commands work in it. The authority's
key and the certificate that operates every bank are in none of them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from node.ledger.genesis import Genesis
from node.rpc.certificates import CertificateAuthority, utc_now
from node.rpc.credentials import TlsFiles
from node.runtime.bank_databases import has_own_servers, remember_own_servers
from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import BankDirectory, ConsortiumDirectory
from node.wire.identity import Identity, Role, consortium_slug

DIRECTORY_MODE = 0o700
TRAVERSABLE_MODE = 0o711
"""Of a consortium's directory when root owns it: PostgreSQL's unprivileged user must get through
to `postgres/`."""
REGULATOR = "regulator"


def hand_out(directory: ConsortiumDirectory, target: Path) -> list[Path]:
    """Make the directories of all machines below `target`; return them, the regulator's last.

    Operators' certificates are made here. Raises `ConfigurationError` if the target is not empty
    or the banks of the consortium share one machine.
    """
    genesis = directory.genesis()
    if not has_own_servers(directory):
        raise ConfigurationError(
            f"the banks of {directory.root} share one machine; `consortium init --host` makes a "
            "consortium whose banks do not"
        )
    require_empty(target)
    target.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    made = []
    for bank in genesis.banks:
        place = directory.bank(bank.index)
        made.append(_machine(directory, genesis, target / place.root.name))
        _give_to_bank(directory, genesis, place, ConsortiumDirectory(made[-1]))
    made.append(_machine(directory, genesis, target / REGULATOR))
    shutil.copytree(directory.regulator, ConsortiumDirectory(made[-1]).regulator)
    return made


def require_empty(target: Path) -> None:
    """Raise `ConfigurationError` if something is there already."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{target} exists and is not empty; name another with --out")


def _machine(directory: ConsortiumDirectory, genesis: Genesis, root: Path) -> Path:
    """Make what is the same on all machines."""
    root.mkdir(mode=DIRECTORY_MODE)
    root.chmod(TRAVERSABLE_MODE if os.geteuid() == 0 else DIRECTORY_MODE)
    machine = ConsortiumDirectory(root)
    shutil.copyfile(directory.genesis_file, machine.genesis_file)
    machine.banks.mkdir(mode=DIRECTORY_MODE)
    for bank in genesis.banks:
        place = machine.bank(bank.index)
        place.root.mkdir(mode=DIRECTORY_MODE)
        shutil.copyfile(directory.bank(bank.index).config_file, place.config_file)
    for empty in (machine.wallets, machine.run):
        empty.mkdir(mode=DIRECTORY_MODE)
    remember_own_servers(machine)
    return root


def _give_to_bank(
    directory: ConsortiumDirectory,
    genesis: Genesis,
    bank: BankDirectory,
    machine: ConsortiumDirectory,
) -> None:
    shutil.copytree(bank.keys, machine.bank(bank.bank).keys)
    machine.clients.mkdir(mode=DIRECTORY_MODE)
    shutil.copytree(directory.client(bank.bank), machine.client(bank.bank))
    slug = consortium_slug(genesis.name)
    authority = CertificateAuthority.load(directory.certificates, slug)
    machine.operator.mkdir(mode=DIRECTORY_MODE)
    operator = Identity(slug, Role.OPERATOR, bank.short_name)
    TlsFiles(machine.operator).write(authority.issue(operator, utc_now()))
