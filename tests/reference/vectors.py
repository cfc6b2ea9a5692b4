"""Every section of a vectors file, checked by the reference (IDX1 13).

Each `check_*` yields one `(name, passed)` pair per vector, in the file's order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.reference import equations, tree
from tests.reference.ballots import (
    BallotContext,
    Tally,
    context_base,
    opening_holds,
    possession_holds,
)
from tests.reference.blocks import judge, judge_block
from tests.reference.framing import (
    R_ORDER,
    Refused,
    expand,
    h2s,
    hash32,
    hash64,
    scalar_bytes,
)
from tests.reference.group import encode, gen, times
from tests.reference.layout import TRANSFER
from tests.reference.notes import (
    Bin,
    Wallet,
    commitment,
    derive_wallet,
    key_material,
    nullifier,
    scan,
    seal_ciphertext,
    shared_secret,
    x25519_public,
)
from tests.reference.rules import Checked, State, check

Document = dict[str, Any]
Outcome = tuple[str, bool]

unhex = bytes.fromhex


def wallets(document: Document) -> list[Wallet]:
    return [derive_wallet(unhex(entry["seed"]), entry["session"]) for entry in document["wallets"]]


def bins(document: Document) -> dict[int, Bin]:
    result = {}
    for entry in document["bins"]:
        notes = tuple((unhex(note["P"]), unhex(note["C"])) for note in entry["notes"])
        asset, closed = unhex(entry["asset"]), entry["closed"]
        result[entry["id"]] = Bin(entry["id"], asset, closed, notes[: entry["count"]])
    return result


def state(document: Document, case: Document | None = None) -> State:
    """The state of the file, with the case's own spent and known notes (13)."""
    ledger_bins = bins(document)
    known = {P for ring in ledger_bins.values() for P, _ in ring.notes}
    case = case or {}
    return State(
        chain=unhex(document["chain_id"]),
        height=document["height"],
        bins=ledger_bins,
        issuers={unhex(e["asset"]): set(map(unhex, e["keys"])) for e in document["issuers"]},
        spent=set(map(unhex, case.get("spent", []))),
        notes=known | set(map(unhex, case.get("known_notes", []))),
    )


def ballot_context(document: Document, case: Document | None = None) -> BallotContext:
    ballots = document["ballots"]
    return BallotContext(
        chain=unhex(document["chain_id"]),
        height=(case or ballots)["height"],
        round=(case or ballots)["round"],
        Y=unhex(ballots["Y"]),
        keys=tuple(unhex(key["P"]) for key in ballots["keys"]),
    )


def check_hash(document: Document) -> Iterator[Outcome]:
    for index, case in enumerate(document["hash"]):
        tag, parts = case["tag"], list(map(unhex, case["parts"]))
        computed = (
            hash64(tag, *parts).hex(),
            hash32(tag, *parts).hex(),
            scalar_bytes(h2s(tag, *parts)).hex(),
        )
        yield f"hash {index}", computed == (case["hash64"], case["hash32"], case["h2s"])


def check_expand(document: Document) -> Iterator[Outcome]:
    for index, case in enumerate(document["expand"]):
        out = expand(case["tag"], unhex(case["seed"]), case["n"])
        yield f"expand {index}", out.hex() == case["out"]


def check_generators(document: Document) -> Iterator[Outcome]:
    for case in document["generators"]:
        yield f"generator {case['name']}", encode(gen(unhex(case["name"]))).hex() == case["point"]


def check_wallets(document: Document) -> Iterator[Outcome]:
    for index, case in enumerate(document["wallets"]):
        wallet = derive_wallet(unhex(case["seed"]), case["session"])
        computed = {
            "s": scalar_bytes(wallet.s).hex(),
            "S": wallet.S.hex(),
            "v": wallet.v.hex(),
            "V": wallet.V.hex(),
            "address": wallet.address.hex(),
        }
        yield f"wallet {index}", all(case[key] == value for key, value in computed.items())


def check_bins(document: Document) -> Iterator[Outcome]:
    owners = wallets(document)
    for entry, ring in zip(document["bins"], bins(document).values(), strict=True):
        if ring.closed:
            yield f"bin {entry['id']} digest", ring.digest().hex() == entry["digest"]
        for position, note in enumerate(entry["notes"]):
            computed = _note_fields(document, ring.asset, note, owners[note["owner"]])
            passed = all(note[key] == value for key, value in computed.items())
            yield f"bin {entry['id']} note {position}", passed


def _note_fields(document: Document, asset: bytes, note: Document, owner: Wallet) -> Document:
    E = x25519_public(unhex(note["e"]))
    ss = shared_secret(unhex(note["e"]), owner.V) or b""
    chain = unhex(document["chain_id"])
    keys = key_material(ss, chain, asset, E, owner.V, owner.S, note["index"])
    x = (owner.s + keys.h) % R_ORDER
    P = encode(times(x, gen(b"K/key")))
    C = commitment(note["value"], keys.b, asset)
    ciphertext = seal_ciphertext(keys.aead_key, note["value"], unhex(note["memo"]), asset, P, C, E)
    return {
        "E": E.hex(),
        "ss": ss.hex(),
        "okm": keys.okm.hex(),
        "h": scalar_bytes(keys.h).hex(),
        "b": scalar_bytes(keys.b).hex(),
        "x": scalar_bytes(x).hex(),
        "vt": keys.view_tag,
        "P": P.hex(),
        "C": C.hex(),
        "J": nullifier(x).hex(),
        "ct": ciphertext.hex(),
    }


def check_scan(document: Document) -> Iterator[Outcome]:
    owners, chain = wallets(document), unhex(document["chain_id"])
    for case in document["scan"]:
        wallet, asset = owners[case["wallet"]], unhex(case["asset"])
        received = scan(unhex(case["output"]), case["index"], asset, chain, wallet)
        passed = (received is not None) == case["mine"]
        if received is not None and case["mine"]:
            found = (received.value, received.memo.hex())
            passed = found == (case["value"], case["memo"])
            secrets = (scalar_bytes(received.x).hex(), scalar_bytes(received.b).hex())
            passed = passed and secrets == (case["x"], case["b"])
        yield f"scan {case['name']}", passed


def transaction_verdict(document: Document, case: Document) -> tuple[str | None, Checked | None]:
    """The reference's code for one transaction case (None if valid) and what it collected."""
    try:
        return None, judge(unhex(case["bytes"]), state(document, case))
    except Refused as refused:
        return refused.code, None


def early_verdict(document: Document, case: Document) -> str | None:
    """The code of steps 8.1-8.6 alone, None if the equations decide."""
    try:
        check(unhex(case["bytes"]), state(document, case))
    except Refused as refused:
        return refused.code
    return None


def check_transaction(document: Document, case: Document) -> bool:
    code, checked = transaction_verdict(document, case)
    if checked is None or not case["valid"]:
        return not case["valid"] and code == case["reason"]
    computed = _transaction_fields(checked)
    computed["received"] = _received(document, checked)
    return all(case[key] == value for key, value in computed.items() if key in case)


def _transaction_fields(checked: Checked) -> Document:
    parsed = checked.parsed
    spends = [equations.spend_challenges(checked, i) for i in range(len(parsed.inputs))]
    ranged = equations.range_challenges(checked)
    fields: Document = {
        "kind": parsed.kind,
        "core": checked.core.hex(),
        "digest": checked.digest.hex(),
        "txid": checked.transaction_id.hex(),
        "mu": [scalar_bytes(spend.mu).hex() for spend in spends],
        "xi": [scalar_bytes(spend.xi).hex() for spend in spends],
        "J": [spent.J.hex() for spent in parsed.inputs],
        "range_h1": ranged.h1.hex(),
        "range_x": scalar_bytes(ranged.x).hex(),
    }
    if parsed.kind != TRANSFER:
        fields["issue_c"] = scalar_bytes(equations.issue_challenge(checked)).hex()
    return fields


def _received(document: Document, checked: Checked) -> list[Document]:
    parsed = checked.parsed
    found = []
    for index, output in enumerate(parsed.outputs):
        for number, wallet in enumerate(wallets(document)):
            note = scan(output, index, parsed.asset, parsed.chain, wallet)
            if note is not None:
                entry = {"wallet": number, "index": index, "value": note.value}
                found.append({**entry, "memo": note.memo.hex()})
    return found


def check_transactions(document: Document) -> Iterator[Outcome]:
    for case in document["transactions"]:
        yield f"transaction {case['name']}", check_transaction(document, case)


def check_possession(document: Document) -> Iterator[Outcome]:
    chain = unhex(document["chain_id"])
    for key in document["ballots"]["keys"]:
        P = times(int.from_bytes(unhex(key["x"]), "little"), gen(b"vote/key"))
        holds = possession_holds(chain, key["index"], unhex(key["P"]), unhex(key["pop"]))
        yield f"vote key {key['index']}", holds and encode(P).hex() == key["P"]
    for case in document["ballots"]["bad_pops"]:
        P, pop = unhex(case["P"]), unhex(case["pop"])
        holds = possession_holds(unhex(case["chain_id"]), case["index"], P, pop)
        yield f"bad proof of possession {case['name']}", not holds


def check_ballots(document: Document) -> Iterator[Outcome]:
    ballots, context = document["ballots"], ballot_context(document)
    opener = int.from_bytes(unhex(ballots["opener"]), "little")
    yield "opener", encode(times(opener, gen(b"vote/key"))) == context.Y
    yield "ring digest", context.ring_digest().hex() == ballots["ring_digest"]
    base = context_base(context.chain, context.height, context.round)
    yield "context base", encode(base).hex() == ballots["context_base"]
    yield from check_possession(document)
    for case in ballots["cases"]:
        tally = Tally(ballot_context(document, case))
        verdicts = [tally.judge(unhex(ballot)) for ballot in case["ballots"]]
        yield f"ballots {case['name']}", verdicts == case["expect"]


def check_openings(document: Document) -> Iterator[Outcome]:
    context = ballot_context(document)
    for case in document["ballots"]["openings"]:
        ballot, proof = unhex(case["ballot"]), unhex(case["proof"])
        holds = opening_holds(ballot, case["index"], proof, context)
        yield f"opening {case['name']}", holds == case["valid"]


def check_blocks(document: Document) -> Iterator[Outcome]:
    named = {case["name"]: unhex(case["bytes"]) for case in document["transactions"]}
    ballots = {name: unhex(data) for name, data in document["ballots"]["named"].items()}
    for case in document["blocks"]:
        bad = judge_block(
            [named[name] for name in case["transactions"]],
            [ballots[name] for name in case["ballots"]],
            state(document),
            ballot_context(document),
        )
        yield f"block {case['name']}", bad == case["bad"]


def check_merkle(document: Document) -> Iterator[Outcome]:
    named = {case["name"]: unhex(case["bytes"]) for case in document["transactions"]}
    for number, tree_case in enumerate(document["merkle"]):
        leaves = _leaves(tree_case, named)
        root = unhex(tree_case["root"])
        if leaves is not None:
            passed = len(leaves) == tree_case["size"] and tree.root(leaves) == root
            yield f"merkle {number} root", passed
        for position, case in enumerate(tree_case["cases"]):
            holds = tree.included(unhex(case["leaf"]), unhex(case["proof"]), root)
            yield f"merkle {number} case {position}", holds == case["valid"]


def _leaves(tree_case: Document, named: dict[str, bytes]) -> list[bytes]:
    if "transactions" in tree_case:
        return [named[name] for name in tree_case["transactions"]]
    return list(map(unhex, tree_case["leaves"]))


SECTIONS: dict[str, Callable[[Document], Iterator[Outcome]]] = {
    "hash": check_hash,
    "expand": check_expand,
    "generators": check_generators,
    "wallets": check_wallets,
    "bins": check_bins,
    "scan": check_scan,
    "merkle": check_merkle,
    "ballots": check_ballots,
    "openings": check_openings,
    "transactions": check_transactions,
    "blocks": check_blocks,
}
