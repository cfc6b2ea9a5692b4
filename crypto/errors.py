"""Rejection reasons and the errors of this package; the error's type says whose fault it is.

`Rejected` and `BatchRejected` blame the bytes that were judged, `ProvingError` blames the caller of
a prover, the `...Invalid` errors blame the named proof.
"""

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """The reason codes of IDX1 8 and 9.6; the value is the code, the order is that of the
    specification."""

    LENGTH = "length"
    """The bytes end before the end of what their own header announces."""
    VERSION = "version"
    """The version byte is not 0x01."""
    KIND = "kind"
    """The kind byte names nothing that may stand here."""
    COUNT = "count"
    """The number of inputs or outputs is outside its range."""
    RESERVED = "reserved"
    """A length field reserved for a later version is not zero."""
    TRAILING = "trailing"
    """Bytes follow the end of the layout."""
    FIELD = "field"
    """The amount is zero, or account and redeem do not agree."""
    CHAIN = "chain"
    """The chain id is that of another ledger."""
    EXPIRED = "expired"
    """The block's height lies above the expiry height."""
    ISSUER = "issuer"
    """The issuer key is not registered for the asset."""
    BIN_UNKNOWN = "bin-unknown"
    """The input names a bin that does not exist."""
    BIN_OPEN = "bin-open"
    """The input names a bin that is not closed yet."""
    BIN_ASSET = "bin-asset"
    """The input names a bin of another asset."""
    IDENTITY = "identity"
    """A point is encoded as 96 zero bytes."""
    POINT = "point"
    """A point is not canonical or not on the curve."""
    SUBGROUP = "subgroup"
    """A point that must lie in the subgroup of prime order does not."""
    SCALAR = "scalar"
    """A scalar is not below the group order."""
    NULLIFIER = "nullifier"
    """A nullifier is spent already or occurs twice."""
    NOTE = "note"
    """A one-time key is on the ledger already or occurs twice."""
    SIGNATURE = "signature"
    """The issuer's signature does not verify."""
    RANGE = "range"
    """The range proof does not verify."""
    SPEND = "spend"
    """A spend proof does not verify."""
    ISSUE = "issue"
    """The issue proof does not verify."""
    CONTEXT = "context"
    """The ballot is for another height or round."""
    MESSAGE = "message"
    """The ballot's decision byte is neither A nor R."""
    BALLOT = "ballot"
    """The ballot's proof does not verify."""
    DUPLICATE = "duplicate"
    """The ballot's tag was seen with the same message before."""
    EQUIVOCATION = "equivocation"
    """The ballot's tag was seen before, with another message."""


class CryptoError(Exception):
    """Base of every error this package raises on purpose."""


class Rejected(CryptoError):
    """The judged bytes break a rule; `reason` is the code of the first rule they break."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class BatchRejected(CryptoError):
    """Some items of a batch do not verify; `failures` maps the index of each to its reason."""

    def __init__(self, failures: Mapping[int, Reason]) -> None:
        listed = ", ".join(f"{index}: {reason.value}" for index, reason in failures.items())
        super().__init__(listed)
        self.failures = dict(failures)


class BlockRejected(CryptoError):
    """A block holds failing items; keys are transaction indices, or `ballot:<index>` for ballots.
    """

    def __init__(self, failures: Mapping[str, Reason]) -> None:
        listed = ", ".join(f"{key}: {reason.value}" for key, reason in failures.items())
        super().__init__(listed)
        self.failures = dict(failures)


class NotMine(CryptoError):
    """A scanned output is no payment to the scanning keys (IDX1 3.3)."""


class AddressInvalid(CryptoError):
    """An address does not decode (IDX1 3.1)."""


class ProvingError(CryptoError):
    """The caller asked a prover for something that cannot be proven, or must not be."""


class IdentityPoint(CryptoError):
    """A computed point that must be encoded or compared is the identity (IDX1 2.2)."""


class SignatureInvalid(CryptoError):
    """An Ed25519 signature does not verify by the rule of IDX1 7.6."""


class MerkleProofInvalid(CryptoError):
    """An inclusion proof does not lead to the root (IDX1 11.3)."""


class ProofOfPossessionInvalid(CryptoError):
    """A vote key's proof of possession does not verify (IDX1 9.1)."""


class OpeningInvalid(CryptoError):
    """An opening does not name the signer of the ballot (IDX1 9.7)."""


class ShareInvalid(CryptoError):
    """A part of the opener's key is not what its dealer committed to."""


class DecryptionInvalid(CryptoError):
    """Partial decryptions do not prove what a ciphertext decrypts to."""


class TallyInvalid(CryptoError):
    """A year's ciphertext sum is not proven to hold the claimed counts (BFT-12 18)."""
