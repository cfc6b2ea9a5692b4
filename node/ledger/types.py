"""Narrow types for every number and identifier that could be mixed up.

They are `NewType`s: free at run time, checked by mypy. Every amount is an integer in minor units
of its asset; every height counts sealed blocks from genesis (0); every time is milliseconds since
the Unix epoch as written in a block header.
"""

from __future__ import annotations

from typing import NewType

Height = NewType("Height", int)
"""Number of a block in the chain; genesis is 0."""

View = NewType("View", int)
"""Attempt number within one height (BFT-12 section 5); -1 in `hqv` means "no certificate"."""

BankIndex = NewType("BankIndex", int)
"""Position of a bank in the genesis list; never reused."""

Amount = NewType("Amount", int)
"""Minor units of one asset, never negative."""

TimeMs = NewType("TimeMs", int)
"""Milliseconds since the Unix epoch."""

AssetId = NewType("AssetId", bytes)
"""16 raw bytes (IDX1 2.4)."""

BlockId = NewType("BlockId", bytes)
"""SHA-256 of the canonical header, 32 bytes (BFT-12 section 2)."""

TransactionId = NewType("TransactionId", bytes)
"""`txid` of IDX1 5.5, 32 bytes: the hash of all canonical bytes of a transaction."""

FiscalYear = NewType("FiscalYear", int)
"""The calendar year in whose April a fiscal year begins (BFT-12 section 18)."""

NO_VIEW = View(-1)
"""`hqv` of a bank that holds no quorum certificate at this height (BFT-12 section 3)."""

HASH_BYTES = 32
ASSET_BYTES = 16
KEY_BYTES = 32
"""Length of an Ed25519 public key."""
POINT_BYTES = 96
"""Length of an encoded group element (IDX1 2.2)."""
SIGNATURE_BYTES = 64
