"""The genesis: chain id, accounts, keys, and refusal of every inconsistent one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crypto.ballot import prove_possession
from crypto.curve import encode_point
from crypto.generators import key_generator
from node.ledger.definitions import AssetDefinition, Sector
from node.ledger.genesis import Genesis, GenesisInvalid, verify_genesis_keys
from node.ledger.parameters import Parameters, Ratio
from node.ledger.types import Amount, AssetId, BankIndex, TimeMs
from tests.ledger.chain import BASE, GOLD, ballot_key, make_genesis

GENESIS = make_genesis()
JSON = json.dumps(GENESIS.to_json_object())


def test_json_round_trip() -> None:
    assert Genesis.from_json_object(json.loads(JSON)) == GENESIS


def test_the_chain_id_hashes_the_canonical_encoding() -> None:
    assert GENESIS.chain_id == hashlib.sha256(GENESIS.encode()).digest()


def test_the_chain_id_covers_everything_but_the_proofs_of_possession() -> None:
    """IDX1 9.1 binds a proof of possession to the chain id, so it cannot be part of it."""
    bank, gold = GENESIS.banks[0], GENESIS.assets[1]
    changed = [
        replace(GENESIS, name="other"),
        replace(GENESIS, time_ms=TimeMs(GENESIS.time_ms + 1)),
        replace(GENESIS, epoch=1),
        replace(GENESIS, opener_key=b"o" * 96),
        replace(GENESIS, draw_commitment=b"d" * 32),
        replace(GENESIS, banks=(*GENESIS.banks[:3], replace(GENESIS.banks[3], name="X"))),
        replace(GENESIS, banks=(replace(bank, sector=Sector.PUBLIC), *GENESIS.banks[1:])),
        replace(GENESIS, banks=(replace(bank, initial_stake=Amount(1)), *GENESIS.banks[1:])),
        replace(GENESIS, banks=(replace(bank, consensus_key=b"c" * 32), *GENESIS.banks[1:])),
        replace(GENESIS, banks=(replace(bank, ballot_key=b"b" * 96), *GENESIS.banks[1:])),
        replace(GENESIS, banks=(replace(bank, issuer_key=b"i" * 32), *GENESIS.banks[1:])),
        replace(GENESIS, assets=GENESIS.assets[:1]),
        replace(GENESIS, assets=(GENESIS.assets[0], replace(gold, code="AU"))),
        replace(GENESIS, assets=(GENESIS.assets[0], replace(gold, decimals=5))),
        replace(GENESIS, assets=(GENESIS.assets[0], replace(gold, asset_id=b"g" * 16))),
        replace(GENESIS, assets=(GENESIS.assets[0], replace(gold, issuance_limits={}))),
    ]
    assert len({GENESIS.chain_id, *(item.chain_id for item in changed)}) == len(changed) + 1
    assert GENESIS.with_possessions([bytes(64)] * 4).chain_id == GENESIS.chain_id


OTHER_PARAMETERS: dict[str, Any] = {
    "ring_base": 8,
    "bin_age_ms": 1,
    "batch_limit": 99,
    "batch_wait_ms": 1,
    "view_timeout_ms": 1,
    "view_timeout_growth": Ratio(2, 1),
    "view_timeout_max_ms": 20_001,
    "heartbeat_ms": 1,
    "max_clock_skew_ms": 1,
    "transfer_fee": 1,
    "max_expiry_heights": 1,
    "fiscal_year_offset_s": -1,
    "fiscal_year_seconds": 60,
    "slash_floor_percent": 31,
    "evidence_window": 1,
}


@pytest.mark.parametrize("name", OTHER_PARAMETERS)
def test_the_chain_id_covers_every_parameter(name: str) -> None:
    changed = replace(
        GENESIS, parameters=replace(GENESIS.parameters, **{name: OTHER_PARAMETERS[name]})
    )
    assert changed.chain_id != GENESIS.chain_id


def test_accounts_belong_to_one_bank_of_one_ledger() -> None:
    """BFT-12 18."""
    expected = hashlib.sha256(b"consortium/bank-account" + GENESIS.chain_id + b"\x00\x02").digest()
    assert GENESIS.account_of(BankIndex(2)) == expected
    assert [GENESIS.bank_of_account(GENESIS.account_of(BankIndex(b))) for b in range(4)] == [
        0,
        1,
        2,
        3,
    ]
    assert GENESIS.bank_of_account(bytes(32)) is None
    assert replace(GENESIS, epoch=1).bank_of_account(expected) is None


def test_lookups_of_assets_and_issuers() -> None:
    assert (GENESIS.base_asset.asset_id, GENESIS.asset(GOLD), GENESIS.asset(b"?" * 16)) == (
        BASE,
        GENESIS.assets[1],
        None,
    )
    assert GENESIS.bank_of_issuer(GENESIS.banks[3].issuer_key) == 3
    assert GENESIS.bank_of_issuer(GENESIS.banks[3].consensus_key) is None


def asset(**changes: Any) -> AssetDefinition:
    return replace(GENESIS.assets[1], **changes)


def with_bank(position: int, /, **changes: Any) -> Genesis:
    banks = list(GENESIS.banks)
    banks[position] = replace(banks[position], **changes)
    return replace(GENESIS, banks=tuple(banks))


def with_assets(*assets: AssetDefinition) -> Genesis:
    return replace(GENESIS, assets=assets)


def parameters(**changes: Any) -> Parameters:
    return Parameters(**changes)


INVALID: list[tuple[Callable[[], object], str]] = [
    (lambda: replace(GENESIS, name=""), "name: is not 1 to 64 bytes of printable text"),
    (lambda: replace(GENESIS, name="a\n"), "name: is not 1 to 64 bytes of printable text"),
    (lambda: replace(GENESIS, time_ms=-1), f"time_ms: -1 is outside 0 .. {(1 << 63) - 1}"),
    (lambda: replace(GENESIS, epoch=-1), f"epoch: -1 is outside 0 .. {(1 << 32) - 1}"),
    (lambda: replace(GENESIS, opener_key=b"o"), "opener_key: has 1 bytes, not 96"),
    (lambda: replace(GENESIS, draw_commitment=b"d"), "draw_commitment: has 1 bytes, not 32"),
    (lambda: replace(GENESIS, banks=GENESIS.banks[:3]), "banks: 3 is outside 4 .. 16"),
    (lambda: replace(GENESIS, banks=GENESIS.banks[1:] * 2), "banks[0].index: is 1"),
    (lambda: with_bank(1, name="Bank 0"), "banks: a name is used twice"),
    (lambda: with_bank(1, name="é" * 33), "banks[1].name: is not 1 to 64 bytes of printable text"),
    (
        lambda: with_bank(1, ballot_key=GENESIS.banks[0].ballot_key),
        "banks: a ballot_key is used twice",
    ),
    (
        lambda: with_bank(1, issuer_key=GENESIS.banks[0].consensus_key),
        "banks: a consensus or issuer key is used twice",
    ),
    (lambda: with_bank(1, consensus_key=b""), "banks[1].consensus_key: has 0 bytes, not 32"),
    (lambda: with_bank(1, issuer_key=b"1"), "banks[1].issuer_key: has 1 bytes, not 32"),
    (lambda: with_bank(1, ballot_key=b"1"), "banks[1].ballot_key: has 1 bytes, not 96"),
    (
        lambda: with_bank(1, ballot_possession=b""),
        "banks[1].ballot_possession: has 0 bytes, not 64",
    ),
    (
        lambda: with_bank(1, initial_stake=0),
        f"banks[1].initial_stake: 0 is outside 1 .. {2**64 - 1}",
    ),
    (lambda: with_bank(1, index=16), "banks[16].index: 16 is outside 0 .. 15"),
    (lambda: with_assets(), "assets: 0 is outside 1 .. 64"),
    (lambda: with_assets(asset()), "assets: exactly one asset is the base asset"),
    (
        lambda: with_assets(GENESIS.assets[0], asset(is_base=True)),
        "assets: exactly one asset is the base asset",
    ),
    (lambda: with_assets(GENESIS.assets[0], asset(code="INR")), "assets: a code is used twice"),
    (
        lambda: with_assets(GENESIS.assets[0], asset(asset_id=BASE)),
        "assets: a asset_id is used twice",
    ),
    (
        lambda: with_assets(GENESIS.assets[0], asset(issuance_limits={4: 1})),
        "assets[XAU].issuance_limits[4]: is no bank",
    ),
    (lambda: asset(code="xau"), "assets[xau].code: is not upper-case letters and digits"),
    (lambda: asset(asset_id=b"1"), "assets[XAU].asset_id: has 1 bytes, not 16"),
    (lambda: asset(decimals=19), "assets[XAU].decimals: 19 is outside 0 .. 18"),
    (
        lambda: asset(issuance_limits={1: -1}),
        f"assets[XAU].issuance_limits[1]: -1 is outside 0 .. {2**64 - 1}",
    ),
    (lambda: parameters(ring_base=5), "parameters.ring_base: 5 is none of (4, 8, 16)"),
    (lambda: parameters(batch_limit=101), "parameters.batch_limit: 101 is outside 1 .. 100"),
    (lambda: parameters(issue_fee=1), "parameters.issue_fee: 1 is outside 0 .. 0"),
    (lambda: parameters(payout_fee=1), "parameters.payout_fee: 1 is outside 0 .. 0"),
    (
        lambda: parameters(transfer_fee=1 << 63),
        f"parameters.transfer_fee: {1 << 63} is outside 0 .. {(1 << 63) - 1}",
    ),
    (
        lambda: parameters(view_timeout_growth=(1, 2)),
        "parameters.view_timeout_growth: 1/2 is below 1 or has terms above 1000",
    ),
    (
        lambda: parameters(view_timeout_ms=30_000),
        "parameters.view_timeout_max_ms: 20000 is below view_timeout_ms 30000",
    ),
    (
        lambda: parameters(fiscal_year_seconds=0),
        f"parameters.fiscal_year_seconds: 0 is outside 1 .. {(1 << 32) - 1}",
    ),
    (
        lambda: parameters(fiscal_year_offset_s=86_400),
        "parameters.fiscal_year_offset_s: 86400 is outside -86399 .. 86399",
    ),
]


@pytest.mark.parametrize(("make", "message"), INVALID, ids=[message for _, message in INVALID])
def test_an_inconsistent_genesis_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(GenesisInvalid) as error:
        make()
    assert (str(error.value), f"{error.value.field}: {error.value.message}") == (message, message)


def parent_of(document: Any, path: str) -> tuple[Any, Any]:
    *parents, name = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        document = document[part]
    return document, name


def without(path: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        parent, name = parent_of(document, path)
        del parent[name]

    return change


def setting(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        parent, name = parent_of(document, path)
        parent[name] = value

    return change


MALFORMED: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (without("name"), "name: is missing"),
    (without("banks.2.issuer_key"), "banks[2].issuer_key: is missing"),
    (without("parameters.heartbeat_ms"), "parameters.heartbeat_ms: is missing"),
    (setting("surplus", 1), "surplus: is not a known field"),
    (setting("assets.0.surplus", 1), "assets[0].surplus: is not a known field"),
    (setting("parameters.surplus", 1), "parameters.surplus: is not a known field"),
    (setting("time_ms", "1"), "time_ms: is not a whole number"),
    (setting("time_ms", True), "time_ms: is not a whole number"),
    (setting("time_ms", 1.5), "time_ms: is not a whole number"),
    (setting("name", 1), "name: is not a string"),
    (setting("banks", {}), "banks: is not a list"),
    (setting("banks.1", []), "banks[1]: is not an object"),
    (setting("assets.0.is_base", 1), "assets[0].is_base: is neither true nor false"),
    (setting("banks.0.sector", "royal"), "banks[0].sector: 'royal' is neither public nor private"),
    (setting("banks.0.issuer_key", "AB"), "banks[0].issuer_key: is not lower-case hexadecimal"),
    (setting("banks.0.issuer_key", "a b"), "banks[0].issuer_key: is not lower-case hexadecimal"),
    (
        setting("assets.0.issuance_limits", {"01": 5}),
        "assets[0].issuance_limits.01: is not named by a bank index",
    ),
    (
        setting("parameters.view_timeout_growth", "1.5"),
        "parameters.view_timeout_growth: is not a ratio like 3/2",
    ),
    (
        setting("parameters.view_timeout_growth", "3/" + "1" * 9999),
        "parameters.view_timeout_growth: is not a ratio like 3/2",
    ),
    (setting("parameters.fiscal_year_seconds", "1"),
     "parameters.fiscal_year_seconds: is not a whole number"),
    (setting("chain_id", "00" * 32), "chain_id: is not the hash of this genesis"),
    (setting("name", "another"), "chain_id: is not the hash of this genesis"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"), MALFORMED, ids=[message for _, message in MALFORMED]
)
def test_malformed_json_is_refused(change: Callable[[dict[str, Any]], None], message: str) -> None:
    document = json.loads(JSON)
    change(document)
    with pytest.raises(GenesisInvalid) as error:
        Genesis.from_json_object(document)
    assert str(error.value) == message


@pytest.mark.parametrize("document", [None, 3, "genesis", []])
def test_json_that_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(GenesisInvalid, match=r"^genesis: is not an object$"):
        Genesis.from_json_object(document)


def test_keys_with_proofs_of_possession_are_accepted() -> None:
    """IDX1 9.1."""
    verify_genesis_keys(GENESIS)


def test_a_copied_ballot_key_is_refused() -> None:
    """IDX1 9.1: the proof is bound to chain and bank index."""
    proofs = [bank.ballot_possession for bank in GENESIS.banks]
    swapped = GENESIS.with_possessions([proofs[0], proofs[2], proofs[1], proofs[3]])
    elsewhere = GENESIS.with_possessions(
        [prove_possession(ballot_key(bank), bytes(32), bank) for bank in range(4)]
    )
    for genesis, field in (
        (swapped, "banks[1].ballot_possession"),
        (elsewhere, "banks[0].ballot_possession"),
    ):
        with pytest.raises(GenesisInvalid) as error:
            verify_genesis_keys(genesis)
        assert (error.value.field, error.value.message) == (field, "the challenge is another one")


def test_an_opener_key_off_the_curve_is_refused() -> None:
    good = encode_point(key_generator())
    verify_genesis_keys_with_opener = replace(GENESIS, opener_key=good[:-1] + b"\x00")
    with pytest.raises(GenesisInvalid) as error:
        verify_genesis_keys(verify_genesis_keys_with_opener)
    assert error.value.field == "opener_key"


def test_limits_are_kept_in_bank_order() -> None:
    """The encoding must not depend on the order in which a dictionary was filled."""
    first = asset(issuance_limits={2: 5, 0: 7})
    second = asset(issuance_limits={0: 7, 2: 5})
    assert list(first.issuance_limits.items()) == [(0, 7), (2, 5)]
    assert with_assets(GENESIS.assets[0], first).chain_id == (
        with_assets(GENESIS.assets[0], second).chain_id
    )


def test_an_asset_id_is_raw_bytes() -> None:
    assert AssetId(bytes(16)) == asset(asset_id=bytes(16)).asset_id
