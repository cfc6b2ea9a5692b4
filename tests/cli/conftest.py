"""A served consortium for the commands of its clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.wire.identity import consortium_slug
from tests.cli.served_consortium import Authority, ServedConsortium, served_consortium
from tests.ledger.chain import make_genesis


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("tls"), consortium_slug(make_genesis().name))


@pytest.fixture
def consortium(tmp_path: Path, authority: Authority) -> Iterator[ServedConsortium]:
    """Four banks that seal whatever is submitted at once."""
    with served_consortium(tmp_path / "consortium", authority) as served:
        yield served
