"""Checks of wallets, bins with the derivation of every note, and scanning (IDX1 3, 4)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto.curve import decode_strict
from crypto.errors import NotMine
from crypto.note import ReceivedNote, SessionKeys, scan_output, seal_output
from crypto.ring import ClosedBin
from crypto.scalar import encode_scalar
from crypto.transaction import Output
from node.cli.vector_checks.document import (
    Check,
    Json,
    VectorFile,
    expect,
    expect_stated,
    list_entries,
    unhex,
)


def wallet_checks(file: VectorFile) -> Iterator[Check]:
    """Session keys (IDX1 3.1)."""
    return file.checks(_check_wallet, "wallets")


def _check_wallet(_file: VectorFile, case: Json) -> None:
    keys = SessionKeys.derive(unhex(case["seed"]), case["session"])
    expect("s", encode_scalar(keys.spend_secret).hex(), case["s"])
    expect("S", keys.spend_public.hex(), case["S"])
    expect("v", keys.view_secret.hex(), case["v"])
    expect("V", keys.view_public.hex(), case["V"])
    expect("address", keys.address.encode().hex(), case["address"])


def bin_checks(file: VectorFile) -> Iterator[Check]:
    """Ring digests, and every note from its ephemeral secret to its nullifier (IDX1 3, 4)."""
    for name, entry in file.entries("bins"):
        yield Check(name, partial(_check_bin, file, entry))
        for note_name, note in list_entries(f"{name}.notes", entry.get("notes", [])):
            yield Check(note_name, partial(_check_note, file, entry, note))


def _check_bin(file: VectorFile, entry: Json) -> None:
    found = file.ledger.find_bin(entry["id"])
    expect("closed", isinstance(found, ClosedBin), entry["closed"])
    expect("number of notes", len(entry["notes"]), entry["count"])
    if isinstance(found, ClosedBin):
        expect("count", found.count, entry["count"])
        expect("digest", found.digest.hex(), entry["digest"])


def _check_note(file: VectorFile, entry: Json, note: Json) -> None:
    decode_strict(unhex(note["P"]))
    decode_strict(unhex(note["C"]))
    asset, keys = unhex(entry["asset"]), file.wallets[note["owner"]]
    output = _check_sealing(file, asset, note, keys)
    received = scan_output(output, note["index"], asset, file.chain_id, keys)
    fields = _received_fields(received)
    fields["h"] = encode_scalar(received.spend_key - keys.spend_secret).hex()
    fields["J"] = received.nullifier.hex()
    expect_stated(fields, note)
    _check_key_material(file, asset, note, keys)


def _received_fields(received: ReceivedNote) -> dict[str, object]:
    return {
        "value": received.value,
        "memo": received.memo.hex(),
        "x": encode_scalar(received.spend_key).hex(),
        "b": encode_scalar(received.blinding).hex(),
    }


def _check_sealing(file: VectorFile, asset: bytes, note: Json, keys: SessionKeys) -> Output:
    ephemeral_secret = unhex(note["e"])
    output = seal_output(
        address=keys.address,
        value=note["value"],
        memo=unhex(note["memo"]),
        index=note["index"],
        asset=asset,
        chain_id=file.chain_id,
        random_bytes=lambda size_bytes: ephemeral_secret[:size_bytes],
    ).output
    expect("P", output.one_time_key.hex(), note["P"])
    expect("C", output.commitment.hex(), note["C"])
    expect("E", output.ephemeral_key.hex(), note["E"])
    expect("vt", output.view_tag, note["vt"])
    expect("ct", output.ciphertext.hex(), note["ct"])
    return output


def _check_key_material(file: VectorFile, asset: bytes, note: Json, keys: SessionKeys) -> None:
    # `crypto.note` shows nothing between e and the note; what lies between is recomputed here, and
    # has to have the parts that the note is made of.
    ephemeral_key = X25519PrivateKey.from_private_bytes(unhex(note["e"]))
    shared = ephemeral_key.exchange(X25519PublicKey.from_public_bytes(keys.view_public))
    expect("ss", shared.hex(), note["ss"])
    agreed = unhex(note["E"]) + keys.view_public + keys.spend_public
    info = file.chain_id + asset + agreed + bytes((note["index"],))
    material = HKDF(SHA256(), 161, b"IDX1/note-kdf", info).derive(shared)
    expect("okm", material.hex(), note["okm"])
    expect("h in okm", encode_scalar(int.from_bytes(material[:64], "little")).hex(), note["h"])
    expect("b in okm", encode_scalar(int.from_bytes(material[64:128], "little")).hex(), note["b"])
    expect("vt in okm", material[160], note["vt"])


def scan_checks(file: VectorFile) -> Iterator[Check]:
    """Scanning one output with one wallet (IDX1 3.3)."""
    return file.checks(_check_scan, "scan")


def _check_scan(file: VectorFile, case: Json) -> None:
    output, asset = Output.decode(unhex(case["output"])), unhex(case["asset"])
    received = scan_with(file, case["wallet"], output, case["index"], asset)
    expect("mine", received is not None, case["mine"])
    if received is not None:
        expect_stated(_received_fields(received), case)


def scan_with(
    file: VectorFile, wallet: int, output: Output, index: int, asset: bytes
) -> ReceivedNote | None:
    """What wallet number `wallet` finds in an output, None if it refuses it."""
    try:
        return scan_output(output, index, asset, file.chain_id, file.wallets[wallet])
    except NotMine:
        return None
