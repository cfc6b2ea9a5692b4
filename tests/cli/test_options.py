"""Naming a bank: by index or name, and nothing in between."""

from __future__ import annotations

import pytest

from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.options import find_bank
from node.ledger.genesis import Genesis
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium


@pytest.fixture(scope="module")
def genesis(tmp_path_factory: pytest.TempPathFactory) -> Genesis:
    directory = ConsortiumDirectory(tmp_path_factory.mktemp("options") / "consortium")
    return create_consortium(directory, bank_count=4)


@pytest.mark.parametrize("text", ["3", "03", "dunmere", "Dunmere", " DUNMERE "])
def test_a_bank_has_an_index_and_a_name(genesis: Genesis, text: str) -> None:
    assert find_bank(genesis, text) == 3


@pytest.mark.parametrize("text", ["4", "-1", "", "dun", "3.0", "all"])
def test_anything_else_is_refused_with_the_names_there_are(genesis: Genesis, text: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        find_bank(genesis, text)
    assert refused.value.message == f"there is no bank {text!r}"
    assert refused.value.advice == "the banks are amberfield, birchmoor, cedarholm, dunmere"
    assert refused.value.exit_code == EXIT_USAGE
