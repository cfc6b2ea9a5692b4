"""Tables of the regulator's database, as `migrations/regulator` makes them."""

from __future__ import annotations

import sqlalchemy as sa

from node.ledger.types import HASH_BYTES, POINT_BYTES
from node.storage.tables.base import NAMING, fixed_length, one_of

METADATA = sa.MetaData(naming_convention=NAMING)

APPEND_ONLY = ("challenges", "reverifications", "alarms", "audit_log")
"""Tables whose rows can neither be changed nor removed: a trigger of the migration refuses it."""

FOLLOWED_BLOCKS = sa.Table(
    "followed_blocks",
    METADATA,
    sa.Column("height", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("block_id", sa.LargeBinary, nullable=False),
    sa.Column("header", sa.LargeBinary, nullable=False),
    sa.Column("fiscal_year", sa.BigInteger, nullable=False, index=True),
    sa.Column("drawn", sa.Boolean, nullable=False),
    sa.Column("ciphertext_sum", sa.LargeBinary),
    sa.Column("approvals", sa.SmallInteger),
    sa.Column("rejections", sa.SmallInteger),
    fixed_length("block_id", HASH_BYTES),
    fixed_length("ciphertext_sum", 2 * POINT_BYTES),
)
"""Verified blocks; the last three columns are filled by the next block's voting record."""

RECORDED_BALLOTS = sa.Table(
    "recorded_ballots",
    METADATA,
    sa.Column("tag", sa.LargeBinary, primary_key=True),
    sa.Column(
        "height", sa.BigInteger, sa.ForeignKey("followed_blocks.height"), nullable=False, index=True
    ),
    sa.Column("approve", sa.Boolean, nullable=False),
    fixed_length("tag", POINT_BYTES),
)
"""Where a tag was recorded; the ballot itself is read from a bank when it is opened."""

ACTIVE_SETS = sa.Table(
    "active_sets",
    METADATA,
    sa.Column("from_height", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("set_hash", sa.LargeBinary, nullable=False),
    sa.Column("encoded", sa.LargeBinary, nullable=False),
    fixed_length("set_hash", HASH_BYTES),
)

CLOSED_BINS = sa.Table(
    "closed_bins",
    METADATA,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("bin_id", sa.BigInteger, nullable=False, unique=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("notes", sa.Integer, nullable=False),
    sa.Column("accumulator", sa.LargeBinary, nullable=False),
    fixed_length("digest", HASH_BYTES),
    fixed_length("accumulator", HASH_BYTES),
)
"""Closed bins that a certified state commits to, each with the running hash after it."""

YEAR_COUNTS = sa.Table(
    "year_counts",
    METADATA,
    sa.Column("fiscal_year", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("bank", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("approvals", sa.BigInteger, nullable=False),
)

SETTLEMENTS = sa.Table(
    "settlements",
    METADATA,
    sa.Column("fiscal_year", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("transaction_id", sa.LargeBinary, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("submitted_ms", sa.BigInteger, nullable=False),
    sa.Column("sealed_height", sa.BigInteger),
    fixed_length("transaction_id", HASH_BYTES),
)

CHALLENGES = sa.Table(
    "challenges",
    METADATA,
    sa.Column("challenge", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("height", sa.BigInteger, nullable=False, index=True),
    sa.Column("challenged_by", sa.SmallInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("time_ms", sa.BigInteger, nullable=False),
)

REVERIFICATIONS = sa.Table(
    "reverifications",
    METADATA,
    sa.Column("reverification", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("height", sa.BigInteger, nullable=False, index=True),
    sa.Column("block_id", sa.LargeBinary, nullable=False),
    sa.Column("fiscal_year", sa.BigInteger, nullable=False),
    sa.Column("challenge", sa.BigInteger, sa.ForeignKey("challenges.challenge"), index=True),
    sa.Column("bank", sa.SmallInteger, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("transactions", sa.Integer, nullable=False),
    sa.Column("time_ms", sa.BigInteger, nullable=False),
    one_of("result", "correct", "bytes-differ", "invalid"),
)
"""Blocks verified again from the bytes that `bank` stores; without a challenge, because drawn."""

ALARMS = sa.Table(
    "alarms",
    METADATA,
    sa.Column("alarm", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("bank", sa.SmallInteger),
    sa.Column("height", sa.BigInteger),
    sa.Column("proof", sa.LargeBinary),
    sa.Column("time_ms", sa.BigInteger, nullable=False),
)

HANDLED_CONFLICTS = sa.Table(
    "handled_conflicts",
    METADATA,
    sa.Column("tag", sa.LargeBinary, primary_key=True),
    sa.Column("height", sa.BigInteger, nullable=False),
    sa.Column("bank", sa.SmallInteger, nullable=False),
    sa.Column("item", sa.LargeBinary, nullable=False),
    sa.Column("handed_in", sa.Boolean, server_default=sa.false(), nullable=False),
    fixed_length("tag", POINT_BYTES),
)
"""Ballots under one tag that convict a bank, with the evidence made of them (BFT-12 9, E8)."""

KEPT_STATES = sa.Table(
    "kept_states",
    METADATA,
    sa.Column("height", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("state", sa.LargeBinary, nullable=False),
)
"""States that execution led to, canonical: some heights, to execute later blocks from."""

SPENT_NULLIFIERS = sa.Table(
    "spent_nullifiers",
    METADATA,
    sa.Column("nullifier", sa.LargeBinary, primary_key=True),
    sa.Column("height", sa.BigInteger, nullable=False),
    fixed_length("nullifier", POINT_BYTES),
)
"""Nullifiers of the blocks that were executed, each with the height that spent it first."""

ACCUSATIONS = sa.Table(
    "accusations",
    METADATA,
    sa.Column("evidence_id", sa.LargeBinary, primary_key=True),
    sa.Column("height", sa.BigInteger, nullable=False),
    sa.Column("bank", sa.SmallInteger, nullable=False),
    sa.Column("item", sa.LargeBinary, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.UniqueConstraint("height", "bank"),
    fixed_length("evidence_id", HASH_BYTES),
)
"""Evidence against who created an invalid block that was sealed (BFT-12 9, E5), one for each block;
without an outcome as long as the banks have not taken it."""

AUDIT_LOG = sa.Table(
    "audit_log",
    METADATA,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("time_ms", sa.BigInteger, nullable=False),
    sa.Column("action", sa.Text, nullable=False, index=True),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("event_data", sa.Text, nullable=False),
    sa.Column("previous_hash", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    fixed_length("previous_hash", HASH_BYTES),
    fixed_length("hash", HASH_BYTES),
)
"""Every act of the regulator; the unique link to the row before makes two branches impossible."""
