"""The opener's key among officers: splitting it, and what each of them contributes."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crypto.ballot_opening import open_partially
from crypto.errors import ProvingError
from crypto.opener_shares import OpenerShare, PartialDecryption, split_opener
from crypto.transaction import transaction_id as hash_transaction
from node.cli.activity import activity
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.regulator_status import look_at_regulator
from node.cli.terminal import answer, answer_json, say, warn
from node.client.verification import SealVerifier
from node.ledger.fiscal_year import label
from node.ledger.rejection import Rejection
from node.ledger.settlement import (
    BankCount,
    SettlementClaim,
    assemble_settlement,
    prove_settlement_partially,
)
from node.ledger.settlement_rules import tally_of, year_to_settle
from node.ledger.state import LedgerState
from node.ledger.types import FiscalYear, Height, TransactionId
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.draw_seeds import DrawSeeds
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
    CLAIM,
    CONFLICT,
    OPENING,
    OfficersFailed,
    Part,
    count_by_parts,
    decrypt_sums,
    read_share,
    require_same,
    write_share,
)
from node.runtime.regulator.openings import OpeningDesk, OpeningRefused
from node.runtime.regulator.place import RegulatorPlace
from node.runtime.regulator.secrets import OPENER_FILE, load_opener
from node.runtime.secrets_directory import write_private

if TYPE_CHECKING:
    from node.cli.regulator_openings import RegulatorAccess

YEAR = re.compile(r"(?:FY)?(\d{1,6})", re.ASCII)
FORGOTTEN_WITHIN_S = 10.0
FORGOTTEN_POLL_S = 0.2
MAX_PART_BYTES = 64 << 20
"""A part of counting a year of 100,000 blocks."""


def split(directory: ConsortiumDirectory, threshold: int, officers: int, out: Path) -> None:
    """Write the officers' shares, then remove the whole key: nobody holds it from then on."""
    genesis = directory.genesis()
    place = RegulatorPlace(directory)
    opener = load_opener(place.root, genesis)
    if opener is None:
        raise CommandFailed("the opener's key is split already", "its officers have the shares")
    if not 1 <= threshold <= officers:
        raise CommandFailed(f"{threshold} of {officers} officers is no threshold", "", EXIT_USAGE)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = []
    for share in split_opener(opener, threshold, officers):
        path = out / f"officer-{share.index}.json"
        write_share(path, share, genesis.opener_key, threshold)
        files.append(path)
    (place.root / OPENER_FILE).unlink()
    for path in files:
        answer(str(path))
    say(
        f"any {threshold} of these {officers} open a ballot or settle a year; {OPENER_FILE} is "
        "gone. Give each officer his file and keep no copy"
    )
    asyncio.run(_until_forgotten(directory))


async def _until_forgotten(directory: ConsortiumDirectory) -> None:
    """Wait until the running regulator works without the whole key; warn if it does not."""
    if RegulatorPlace(directory).address() is None:
        return
    deadline_s = time.monotonic() + FORGOTTEN_WITHIN_S
    while time.monotonic() < deadline_s:
        look = await look_at_regulator(directory)
        if look is not None and look.status is not None and look.status.opener_is_split:
            say("the running regulator has forgotten the whole key")
            return
        await asyncio.sleep(FORGOTTEN_POLL_S)
    warn(
        "the running regulator does not tell that it has forgotten the whole key: end it, and "
        f"start it again with `consortium regulator run --data {directory.root}`"
    )


def read_partials(files: Sequence[Path]) -> tuple[PartialDecryption, ...]:
    """Read officers' parts of one opening; raises `CommandFailed`."""
    parts = read_parts(files)
    try:
        if require_same(parts).purpose != OPENING:
            raise OfficersFailed("these are no parts of an opening")
        return tuple([part.only for part in parts])
    except OfficersFailed as error:
        raise CommandFailed(str(error), "see `consortium regulator partial`") from error


def read_parts(files: Sequence[Path]) -> list[Part]:
    """Read officers' parts; raises `CommandFailed`. Nothing is verified."""
    parts = []
    for file in files:
        try:
            if file.stat().st_size > MAX_PART_BYTES:
                raise OfficersFailed("it is larger than any part")
            parts.append(Part.from_json_object(json.loads(file.read_text(encoding="utf-8"))))
        except OSError as error:
            raise CommandFailed(f"{file}: {error.strerror}", "", EXIT_USAGE) from error
        except (OfficersFailed, ValueError, RecursionError) as error:
            raise CommandFailed(
                f"{file}: {error}", "see `consortium regulator partial`", EXIT_USAGE
            ) from error
    return parts


def make_partial(
    directory: ConsortiumDirectory,
    subject: str,
    share_file: Path,
    *,
    reason: str,
    of_conflict: bool,
    out: Path,
) -> None:
    """Make one officer's part of an opening (a tag) or of a settlement (a fiscal year)."""
    part = asyncio.run(_make_partial(directory, subject, share_file, reason, of_conflict))
    document = json.dumps(part.to_json_object()) + "\n"
    write_private(out, document.encode("utf-8"))
    kinds = {
        OPENING: "opening the ballot",
        CONFLICT: "convicting who cast two ballots",
        BLOCK_SUMS: f"counting {len(part.partials)} blocks",
        CLAIM: "proving the settlement",
    }
    answer(f"{out}: a part of {kinds[part.purpose]}")


async def _make_partial(
    directory: ConsortiumDirectory, subject: str, share_file: Path, reason: str, of_conflict: bool
) -> Part:
    from node.cli.regulator_convict import partial_of_conflict, read_tag
    from node.cli.regulator_openings import find_tag, regulator_access

    async with regulator_access(directory) as access:
        share = read_share(share_file, access.genesis.opener_key)
        actor = f"officer/{share.index}"
        with activity() as tell:
            tell("making the part")
            if of_conflict:
                part = await partial_of_conflict(access, read_tag(subject), share)
                said = {"tag": part.subject, "purpose": part.purpose}
            elif YEAR.fullmatch(subject):
                year = _year(subject)
                part = await _partial_of_year(access, year, share)
                said = {"year": str(year), "purpose": part.purpose}
            else:
                tag = await find_tag(access.database, subject)
                part = await _partial_of_ballot(access, tag, share, reason, actor)
                said = {"tag": tag.hex(), "purpose": part.purpose}
        await access.database.audit("partial", actor, {**said, "reason": reason})
        return part


async def _partial_of_ballot(
    access: RegulatorAccess, tag: bytes, share: OpenerShare, reason: str, actor: str
) -> Part:
    desk = OpeningDesk(access.genesis, access.ledger, access.database)
    try:
        if not reason.strip():
            raise OpeningRefused("a reason is required")
        located = await desk.locate(tag)
    except OpeningRefused as refused:
        said = {"tag": tag.hex(), "reason": reason, "why": str(refused)}
        await access.database.audit("opening-refused", actor, said)
        raise CommandFailed(str(refused), "give --reason") from refused
    ballot = located.collect(access.genesis)
    partial = await asyncio.to_thread(open_partially, ballot, share)
    return Part(OPENING, tag.hex(), {"": partial})


async def _partial_of_year(access: RegulatorAccess, year: FiscalYear, share: OpenerShare) -> Part:
    state = await _state(access)
    _require_next(access, state, year)
    claim = _written_claim(access.place, year, state.height)
    if claim is None:
        blocks = await access.database.sums_of_year(year)
        if not blocks:
            raise CommandFailed(f"no block of {label(year)} was followed", "", EXIT_USAGE)
        sets = await access.database.active_sets()
        partials = await asyncio.to_thread(decrypt_sums, blocks, sets, share)
        return Part(BLOCK_SUMS, str(year), partials)
    total = tally_of(access.genesis, state, year).ciphertext_sum
    try:
        partial = await asyncio.to_thread(
            prove_settlement_partially, claim, access.genesis, total, share
        )
    except ProvingError as error:
        raise CommandFailed(f"the claim cannot be proven: {error}") from error
    return Part(CLAIM, claim.encode().hex(), {"": partial})


async def _state(access: RegulatorAccess) -> LedgerState:
    verifier = SealVerifier(access.genesis)
    _, state = verifier.verify_state(await access.ledger.sealed_state())
    return state


def _require_next(access: RegulatorAccess, state: LedgerState, year: FiscalYear) -> None:
    """Raise `CommandFailed` unless this year is settled next: no other part is of any use."""
    if year_to_settle(access.genesis, state) != year:
        raise CommandFailed(
            f"{label(year)} is not the year to settle now",
            "years are settled in their order, each after the first block of a later one",
        )


def settle_year(
    directory: ConsortiumDirectory, text: str, files: Sequence[Path], *, as_json: bool
) -> None:
    """Join officers' parts: first into the counts of a year, then into its settlement."""
    parts = read_parts(files)
    year = _year(text)
    result = asyncio.run(_settle(directory, year, parts))
    if as_json:
        answer_json(result)
    elif "transaction_id" in result:
        answer(f"the settlement of {label(year)} was handed in: {result['transaction_id']}")
    else:
        counts = result["counts"]
        assert isinstance(counts, dict), "the first round gives counts"
        for bank, count in counts.items():
            answer(f"{bank:<12}{count}")
        say(
            f"now each officer makes his part of the proof: "
            f"`consortium regulator partial {label(year)} --share FILE --out FILE`, then "
            f"`consortium regulator settle {label(year)} --partials ...` again"
        )


async def _settle(
    directory: ConsortiumDirectory, year: FiscalYear, parts: Sequence[Part]
) -> dict[str, object]:
    from node.cli.regulator_openings import regulator_access

    try:
        first = require_same(parts)
        async with regulator_access(directory) as access:
            state = await _state(access)
            _require_next(access, state, year)
            if first.purpose == BLOCK_SUMS and first.subject == str(year):
                return await _count(access, year, parts, state)
            if first.purpose == CLAIM:
                return await _prove(access, year, parts, state)
    except OfficersFailed as error:
        raise CommandFailed(
            str(error),
            "join parts that as many officers as the threshold have made anew for this",
        ) from error
    raise CommandFailed(f"these are no parts of settling {label(year)}", "", EXIT_USAGE)


async def _count(
    access: RegulatorAccess, year: FiscalYear, parts: Sequence[Part], state: LedgerState
) -> dict[str, object]:
    blocks = await access.database.sums_of_year(year)
    sets = await access.database.active_sets()
    counts = await asyncio.to_thread(count_by_parts, blocks, sets, parts)
    tally = tally_of(access.genesis, state, year)
    if sum(counts.values()) != tally.ballots:
        raise OfficersFailed(
            f"the parts count {sum(counts.values())} ballots, the ledger has {tally.ballots}"
        )
    await access.database.put_year_counts(year, counts)
    claim = SettlementClaim(
        chain_id=access.genesis.chain_id,
        year=year,
        counts=tuple(
            [BankCount(bank.index, counts.get(bank.index, 0)) for bank in access.genesis.banks]
        ),
        draw_seed=DrawSeeds.load(access.place.root).seed(access.genesis, year),
        expiry=Height(state.height + access.genesis.parameters.max_expiry_heights),
    )
    path = _claim_file(access.place, year)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(path, claim.encode())
    return {
        "fiscal_year": year,
        "counts": {short_name(item.bank): item.count for item in claim.counts},
    }


async def _prove(
    access: RegulatorAccess, year: FiscalYear, parts: Sequence[Part], state: LedgerState
) -> dict[str, object]:
    claim = _written_claim(access.place, year, state.height)
    if claim is None or parts[0].subject != claim.encode().hex():
        raise OfficersFailed("the parts are of another claim")
    total = tally_of(access.genesis, state, year).ciphertext_sum
    try:
        raw = await asyncio.to_thread(
            assemble_settlement, claim, access.genesis, total, [part.only for part in parts]
        )
    except ProvingError as error:
        raise OfficersFailed(str(error)) from error
    identity = TransactionId(hash_transaction(raw))
    await access.database.hand_in_settlement(year, identity, raw)
    await access.ledger.submit(raw)
    return {"fiscal_year": year, "transaction_id": identity.hex()}


def _claim_file(place: RegulatorPlace, year: FiscalYear) -> Path:
    return place.root / "claims" / f"{label(year)}.claim"


def _written_claim(
    place: RegulatorPlace, year: FiscalYear, height: Height
) -> SettlementClaim | None:
    """Return what was claimed of a year in the first round, None before that and once expired."""
    path = _claim_file(place, year)
    try:
        claim = SettlementClaim.decode(path.read_bytes())
        return claim if claim.expiry > height else None
    except FileNotFoundError:
        return None
    except Rejection as rejection:
        raise CommandFailed(
            f"{path} is damaged: {rejection}", "remove it and count the year again"
        ) from rejection


def _year(text: str) -> FiscalYear:
    match = YEAR.fullmatch(text)
    if match is None:
        raise CommandFailed(f"{text!r} is no fiscal year such as FY2026", "", EXIT_USAGE)
    return FiscalYear(int(match[1]))


def deal_secret(officer: int, officers: int, threshold: int, out: Path) -> None:
    """Deal one officer's part of a new opener's key."""
    try:
        dealing = deal_to(out, officer, threshold, officers)
    except ValueError as error:
        raise CommandFailed(str(error), "", EXIT_USAGE) from error
    answer(f"hash of your dealing: {dealing.commitment_hash}")
    say(
        "tell all officers this hash first; when all hashes are told, send everybody "
        f"{out / f'dealing-{officer}.json'} and each officer the value that is for him alone"
    )


def join_share(officer: int, dealings: Sequence[Path], values: Sequence[Path], out: Path) -> None:
    """Check all that was dealt and write one officer's share."""
    try:
        public = [PublicDealing.read(path) for path in dealings]
        share = join(officer, public, [DealtValue.read(path) for path in values])
        opener_key = opener_key_of(public)
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}", "", EXIT_USAGE) from error
    except CeremonyFailed as error:
        raise CommandFailed(str(error), "do not go on with this dealing; deal anew") from error
    write_share(out, share, opener_key, public[0].threshold)
    for item in sorted(public, key=lambda one: one.dealer):
        say(f"dealer {item.dealer}: {item.commitment_hash}")
    answer(opener_key.hex())
    say(
        "compare the hashes above with those that were told; this is the opener's key of all: "
        "`consortium up --opener-key KEY` makes a consortium with it"
    )
