"""t of m officers: nobody joins their shares, parts settle a year, a key that never was whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from crypto.ballot import BallotContext, BallotKey, Decision, collect_ballot, sign_ballot
from crypto.ballot_opening import join_opening, open_partially
from crypto.opener_shares import OpenerShare, split_opener
from node.cli.main import main
from node.ledger.settlement import (
    BankCount,
    SettlementClaim,
    assemble_settlement,
    prove_settlement_partially,
)
from node.ledger.settlement_rules import tally_of
from node.ledger.types import BankIndex, FiscalYear, Height
from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.runtime.regulator.ceremony import (
    CeremonyFailed,
    DealtValue,
    PublicDealing,
    deal_to,
    join,
    opener_key_of,
)
from node.runtime.regulator.officers import (
    BLOCK_SUMS,
    OfficersFailed,
    Part,
    count_by_parts,
    decrypt_sums,
    read_share,
    require_same,
    write_share,
)
from tests.ledger.settling import FIRST, OPENER
from tests.regulator.conftest import SEEDS, MakeWorld

SHARES = split_opener(OPENER, 2, 3)
YEAR = FiscalYear(FIRST)


async def test_section_18_two_of_three_settle_a_year_without_the_key(
    make_world: MakeWorld,
) -> None:
    world = await make_world(None)
    for _ in range(3):
        world.seal()
    world.end_year()
    await world.follow()
    genesis, state = world.ledger.chain.genesis, world.ledger.chain.state
    blocks = await world.database.sums_of_year(YEAR)
    sets = await world.database.active_sets()
    parts = [
        Part.from_json_object(
            json.loads(
                json.dumps(
                    Part(BLOCK_SUMS, str(YEAR), decrypt_sums(blocks, sets, share)).to_json_object()
                )
            )
        )
        for share in (SHARES[2], SHARES[0])
    ]
    counts = count_by_parts(blocks, sets, parts)
    assert counts == dict.fromkeys(range(4), 3)

    claim = SettlementClaim(
        chain_id=genesis.chain_id,
        year=YEAR,
        counts=tuple(BankCount(BankIndex(bank), 3) for bank in range(4)),
        draw_seed=SEEDS.seed(genesis, YEAR),
        expiry=Height(100),
    )
    total = tally_of(genesis, state, YEAR).ciphertext_sum
    proofs = [
        prove_settlement_partially(claim, genesis, total, share) for share in (SHARES[1], SHARES[2])
    ]
    world.seal(assemble_settlement(claim, genesis, total, proofs))
    assert world.ledger.chain.state.settled_through == YEAR


async def test_parts_that_do_not_hold_or_belong_together_are_named(
    make_world: MakeWorld,
) -> None:
    world = await make_world(None)
    world.seal()
    world.seal()
    await world.follow()
    blocks = await world.database.sums_of_year(YEAR)
    sets = await world.database.active_sets()
    first, second = (
        Part(BLOCK_SUMS, str(YEAR), decrypt_sums(blocks, sets, share)) for share in SHARES[:2]
    )
    foreign = Part(
        BLOCK_SUMS,
        str(YEAR),
        decrypt_sums(blocks, sets, OpenerShare(2, BallotKey(5))),
    )
    name = str(blocks[0].height)

    for parts, why in (
        ([first], "the share keys of officers"),
        ([first, foreign], "the share keys of officers"),
        ([first, replace(second, partials={})], f"a part lacks block {name}"),
    ):
        with pytest.raises(OfficersFailed, match=why):
            count_by_parts(blocks[:1], sets, parts)
    with pytest.raises(OfficersFailed, match="not of one purpose and subject"):
        require_same([first, replace(second, subject="2027")])
    with pytest.raises(OfficersFailed):
        _ = first.only if len(first.partials) != 1 else replace(first, partials={}).only
    for garbage in (None, [], {}, {"format": "other"}, {**first.to_json_object(), "partials": 3}):
        with pytest.raises(OfficersFailed):
            Part.from_json_object(garbage)


def test_a_share_is_for_one_pair_of_eyes_and_one_key(tmp_path: Path) -> None:
    path = tmp_path / "officer-2.json"
    write_share(path, SHARES[1], OPENER.public, 2)

    assert path.stat().st_mode & 0o777 == 0o600
    assert read_share(path, OPENER.public) == SHARES[1]
    with pytest.raises(ConfigurationError, match="exists; shares are never overwritten"):
        write_share(path, SHARES[0], OPENER.public, 2)
    with pytest.raises(ConfigurationError, match="is a share of another opener's key"):
        read_share(path, BallotKey(5).public)
    whole = path.read_text()
    path.write_text(whole.replace(SHARES[1].public.hex(), SHARES[0].public.hex()))
    with pytest.raises(ConfigurationError, match="its secret does not fit its public key"):
        read_share(path, OPENER.public)
    path.write_text("{}")
    with pytest.raises(ConfigurationError, match="is not an officer's share"):
        read_share(path, OPENER.public)


Dealt = tuple[list[PublicDealing], dict[tuple[int, int], DealtValue]]


@pytest.fixture(scope="module")
def dealt(tmp_path_factory: pytest.TempPathFactory) -> Dealt:
    """Three officers deal, two of whom shall be enough; what each wrote, read again."""
    root = tmp_path_factory.mktemp("ceremony")
    for dealer in (1, 2, 3):
        deal_to(root, dealer, 2, 3)
    values = {
        (dealer, officer): DealtValue.read(root / f"value-from-{dealer}-for-{officer}.json")
        for dealer in (1, 2, 3)
        for officer in (1, 2, 3)
    }
    assert {path.stat().st_mode & 0o777 for path in root.glob("value-*")} == {0o600}
    with pytest.raises(ConfigurationError, match="exists: one deals once"):
        deal_to(root, 1, 2, 3)
    return [PublicDealing.read(root / f"dealing-{dealer}.json") for dealer in (1, 2, 3)], values


async def test_a_key_that_never_was_whole_opens_by_two_of_three(
    dealt: Dealt, make_world: MakeWorld
) -> None:
    public, values = dealt
    shares = [
        join(officer, public, [values[dealer, officer] for dealer in (1, 2, 3)])
        for officer in (1, 2, 3)
    ]
    key = opener_key_of(public)
    world = await make_world(None)
    genesis = replace(world.ledger.chain.genesis, opener_key=key)
    active = genesis.active_set([bank.index for bank in genesis.banks])
    context = BallotContext(genesis.chain_id, 1, 0)
    raw = sign_ballot(BallotKey(1002), active.ballot_ring, context, bytes(32), Decision.APPROVE)
    ballot = collect_ballot(raw, active.ballot_ring, context)
    parts = [open_partially(ballot, share) for share in (shares[0], shares[2])]
    assert join_opening(ballot, parts).index == 2


def test_a_dealer_who_lies_is_named(dealt: Dealt) -> None:
    public, values = dealt
    mine = [values[dealer, 2] for dealer in (1, 2, 3)]
    lie = replace(mine[2], value=mine[2].value + 1)

    for dealings, told, why in (
        (public, [*mine[:2], lie], "dealer 3: what officer 2 was dealt is not what the dealer"),
        (public, mine[:2], "one value of every dealer is needed"),
        (public, [*mine[:2], values[3, 1]], "a value of dealer 3 is for another officer"),
        (public[:2], mine[:2], "one dealing of each of 3 officers is needed"),
        ([*public[:2], replace(public[2], threshold=3)], mine, "do not mean the same threshold"),
    ):
        with pytest.raises(CeremonyFailed, match=why):
            join(2, dealings, told)


def test_a_consortium_begins_with_the_officers_key(dealt: Dealt, tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path / "data")
    key = opener_key_of(dealt[0])
    genesis = create_consortium(directory, bank_count=4, opener_key=key)

    assert genesis.opener_key == key
    assert not (directory.regulator / "opener.key").exists()
    assert (directory.regulator / "draw.root").exists()


def test_the_ceremony_on_the_command_line(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(main, ["regulator", *words])
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    common = ("--officers", "2", "--threshold", "2", "--out", str(tmp_path))
    hashes = [run("deal", "--officer", officer, *common).rsplit(" ")[-1] for officer in "12"]
    public = [tmp_path / f"dealing-{dealer}.json" for dealer in "12"]
    assert hashes == [PublicDealing.read(path).commitment_hash for path in public]
    given = [word for path in public for word in ("--dealing", str(path))]
    keys = set()
    for officer in "12":
        values = [str(tmp_path / f"value-from-{dealer}-for-{officer}.json") for dealer in "12"]
        told = [word for path in values for word in ("--value", path)]
        out = str(tmp_path / f"share-{officer}.json")
        keys.add(run("join", "--officer", officer, *given, *told, "--out", out))
    (key,) = keys
    for officer in (1, 2):
        share = read_share(tmp_path / f"share-{officer}.json", bytes.fromhex(key))
        assert share.index == officer
