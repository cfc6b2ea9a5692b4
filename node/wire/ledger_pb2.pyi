from node.wire import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EvidenceStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVIDENCE_STATUS_UNSPECIFIED: _ClassVar[EvidenceStatus]
    EVIDENCE_STATUS_PENDING: _ClassVar[EvidenceStatus]
    EVIDENCE_STATUS_RECORDED: _ClassVar[EvidenceStatus]
    EVIDENCE_STATUS_SUPERSEDED: _ClassVar[EvidenceStatus]
    EVIDENCE_STATUS_EXPIRED: _ClassVar[EvidenceStatus]

class VotingStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VOTING_STATUS_UNSPECIFIED: _ClassVar[VotingStatus]
    VOTING_STATUS_PENDING: _ClassVar[VotingStatus]
    VOTING_STATUS_RECORDED: _ClassVar[VotingStatus]
EVIDENCE_STATUS_UNSPECIFIED: EvidenceStatus
EVIDENCE_STATUS_PENDING: EvidenceStatus
EVIDENCE_STATUS_RECORDED: EvidenceStatus
EVIDENCE_STATUS_SUPERSEDED: EvidenceStatus
EVIDENCE_STATUS_EXPIRED: EvidenceStatus
VOTING_STATUS_UNSPECIFIED: VotingStatus
VOTING_STATUS_PENDING: VotingStatus
VOTING_STATUS_RECORDED: VotingStatus

class SubmitTransactionRequest(_message.Message):
    __slots__ = ("transaction",)
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    transaction: bytes
    def __init__(self, transaction: _Optional[bytes] = ...) -> None: ...

class SubmitTransactionResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: Receipt
    def __init__(self, receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("transaction_id", "state", "admitted_at_height", "notice")
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_AT_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    transaction_id: bytes
    state: _types_pb2.TransactionState
    admitted_at_height: int
    notice: str
    def __init__(self, transaction_id: _Optional[bytes] = ..., state: _Optional[_Union[_types_pb2.TransactionState, str]] = ..., admitted_at_height: _Optional[int] = ..., notice: _Optional[str] = ...) -> None: ...

class SubmitTransactionsRequest(_message.Message):
    __slots__ = ("item", "transaction")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    item: int
    transaction: bytes
    def __init__(self, item: _Optional[int] = ..., transaction: _Optional[bytes] = ...) -> None: ...

class SubmitTransactionsResponse(_message.Message):
    __slots__ = ("item", "receipt", "rejection")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    REJECTION_FIELD_NUMBER: _ClassVar[int]
    item: int
    receipt: Receipt
    rejection: _types_pb2.Rejection
    def __init__(self, item: _Optional[int] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ..., rejection: _Optional[_Union[_types_pb2.Rejection, _Mapping]] = ...) -> None: ...

class GetTransactionRequest(_message.Message):
    __slots__ = ("transaction_id", "include_transaction")
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    transaction_id: bytes
    include_transaction: bool
    def __init__(self, transaction_id: _Optional[bytes] = ..., include_transaction: _Optional[bool] = ...) -> None: ...

class GetTransactionResponse(_message.Message):
    __slots__ = ("status", "transaction")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    status: _types_pb2.TransactionStatus
    transaction: bytes
    def __init__(self, status: _Optional[_Union[_types_pb2.TransactionStatus, _Mapping]] = ..., transaction: _Optional[bytes] = ...) -> None: ...

class WaitForTransactionRequest(_message.Message):
    __slots__ = ("transaction_id",)
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    transaction_id: bytes
    def __init__(self, transaction_id: _Optional[bytes] = ...) -> None: ...

class GetBlockRequest(_message.Message):
    __slots__ = ("height", "block_id", "include_transactions")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    height: int
    block_id: bytes
    include_transactions: bool
    def __init__(self, height: _Optional[int] = ..., block_id: _Optional[bytes] = ..., include_transactions: _Optional[bool] = ...) -> None: ...

class StreamBlocksRequest(_message.Message):
    __slots__ = ("from_height", "follow", "include_transactions", "limit")
    FROM_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    from_height: int
    follow: bool
    include_transactions: bool
    limit: int
    def __init__(self, from_height: _Optional[int] = ..., follow: _Optional[bool] = ..., include_transactions: _Optional[bool] = ..., limit: _Optional[int] = ...) -> None: ...

class GetInclusionProofRequest(_message.Message):
    __slots__ = ("transaction_id",)
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    transaction_id: bytes
    def __init__(self, transaction_id: _Optional[bytes] = ...) -> None: ...

class InclusionProof(_message.Message):
    __slots__ = ("header", "certificate", "proof", "leaf_hash", "set_changes")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    LEAF_HASH_FIELD_NUMBER: _ClassVar[int]
    SET_CHANGES_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    certificate: bytes
    proof: bytes
    leaf_hash: bytes
    set_changes: _containers.RepeatedCompositeFieldContainer[PublishedSetChange]
    def __init__(self, header: _Optional[bytes] = ..., certificate: _Optional[bytes] = ..., proof: _Optional[bytes] = ..., leaf_hash: _Optional[bytes] = ..., set_changes: _Optional[_Iterable[_Union[PublishedSetChange, _Mapping]]] = ...) -> None: ...

class PublishedSetChange(_message.Message):
    __slots__ = ("header", "certificate", "active_set")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_SET_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    certificate: bytes
    active_set: bytes
    def __init__(self, header: _Optional[bytes] = ..., certificate: _Optional[bytes] = ..., active_set: _Optional[bytes] = ...) -> None: ...

class ListNotesRequest(_message.Message):
    __slots__ = ("from_sequence", "limit")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    limit: int
    def __init__(self, from_sequence: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class NotePage(_message.Message):
    __slots__ = ("notes",)
    NOTES_FIELD_NUMBER: _ClassVar[int]
    notes: _containers.RepeatedCompositeFieldContainer[Note]
    def __init__(self, notes: _Optional[_Iterable[_Union[Note, _Mapping]]] = ...) -> None: ...

class Note(_message.Message):
    __slots__ = ("sequence", "transaction_id", "transaction_kind", "output_index", "asset", "bin_id", "position", "height", "output")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_KIND_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_INDEX_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    BIN_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    transaction_id: bytes
    transaction_kind: int
    output_index: int
    asset: bytes
    bin_id: int
    position: int
    height: int
    output: bytes
    def __init__(self, sequence: _Optional[int] = ..., transaction_id: _Optional[bytes] = ..., transaction_kind: _Optional[int] = ..., output_index: _Optional[int] = ..., asset: _Optional[bytes] = ..., bin_id: _Optional[int] = ..., position: _Optional[int] = ..., height: _Optional[int] = ..., output: _Optional[bytes] = ...) -> None: ...

class ListNullifiersRequest(_message.Message):
    __slots__ = ("from_sequence", "limit")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    limit: int
    def __init__(self, from_sequence: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class NullifierPage(_message.Message):
    __slots__ = ("nullifiers",)
    NULLIFIERS_FIELD_NUMBER: _ClassVar[int]
    nullifiers: _containers.RepeatedCompositeFieldContainer[Nullifier]
    def __init__(self, nullifiers: _Optional[_Iterable[_Union[Nullifier, _Mapping]]] = ...) -> None: ...

class Nullifier(_message.Message):
    __slots__ = ("sequence", "nullifier", "transaction_id", "height")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NULLIFIER_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    nullifier: bytes
    transaction_id: bytes
    height: int
    def __init__(self, sequence: _Optional[int] = ..., nullifier: _Optional[bytes] = ..., transaction_id: _Optional[bytes] = ..., height: _Optional[int] = ...) -> None: ...

class ListClosedBinsRequest(_message.Message):
    __slots__ = ("from_sequence", "limit")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    limit: int
    def __init__(self, from_sequence: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ClosedBinPage(_message.Message):
    __slots__ = ("bins",)
    BINS_FIELD_NUMBER: _ClassVar[int]
    bins: _containers.RepeatedCompositeFieldContainer[ClosedBinDigest]
    def __init__(self, bins: _Optional[_Iterable[_Union[ClosedBinDigest, _Mapping]]] = ...) -> None: ...

class ClosedBinDigest(_message.Message):
    __slots__ = ("sequence", "bin_id", "asset", "digest", "count", "closed_height")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    BIN_ID_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    bin_id: int
    asset: bytes
    digest: bytes
    count: int
    closed_height: int
    def __init__(self, sequence: _Optional[int] = ..., bin_id: _Optional[int] = ..., asset: _Optional[bytes] = ..., digest: _Optional[bytes] = ..., count: _Optional[int] = ..., closed_height: _Optional[int] = ...) -> None: ...

class GetBinsRequest(_message.Message):
    __slots__ = ("bin_ids",)
    BIN_IDS_FIELD_NUMBER: _ClassVar[int]
    bin_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, bin_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class GetBinsResponse(_message.Message):
    __slots__ = ("bins",)
    BINS_FIELD_NUMBER: _ClassVar[int]
    bins: _containers.RepeatedCompositeFieldContainer[Bin]
    def __init__(self, bins: _Optional[_Iterable[_Union[Bin, _Mapping]]] = ...) -> None: ...

class Bin(_message.Message):
    __slots__ = ("bin_id", "asset", "count", "closed_height", "notes", "digest")
    BIN_ID_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    bin_id: int
    asset: bytes
    count: int
    closed_height: int
    notes: bytes
    digest: bytes
    def __init__(self, bin_id: _Optional[int] = ..., asset: _Optional[bytes] = ..., count: _Optional[int] = ..., closed_height: _Optional[int] = ..., notes: _Optional[bytes] = ..., digest: _Optional[bytes] = ...) -> None: ...

class GetSealedStateRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PublishedState(_message.Message):
    __slots__ = ("header", "certificate", "state", "set_changes")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SET_CHANGES_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    certificate: bytes
    state: bytes
    set_changes: _containers.RepeatedCompositeFieldContainer[PublishedSetChange]
    def __init__(self, header: _Optional[bytes] = ..., certificate: _Optional[bytes] = ..., state: _Optional[bytes] = ..., set_changes: _Optional[_Iterable[_Union[PublishedSetChange, _Mapping]]] = ...) -> None: ...

class ListEvidenceRequest(_message.Message):
    __slots__ = ("from_sequence", "limit")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    limit: int
    def __init__(self, from_sequence: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class EvidencePage(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[EvidenceItem]
    def __init__(self, items: _Optional[_Iterable[_Union[EvidenceItem, _Mapping]]] = ...) -> None: ...

class EvidenceItem(_message.Message):
    __slots__ = ("sequence", "evidence_id", "offence", "bank", "offence_height", "status", "recorded_height", "penalty", "item")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_ID_FIELD_NUMBER: _ClassVar[int]
    OFFENCE_FIELD_NUMBER: _ClassVar[int]
    BANK_FIELD_NUMBER: _ClassVar[int]
    OFFENCE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RECORDED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PENALTY_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    evidence_id: bytes
    offence: str
    bank: int
    offence_height: int
    status: EvidenceStatus
    recorded_height: int
    penalty: int
    item: bytes
    def __init__(self, sequence: _Optional[int] = ..., evidence_id: _Optional[bytes] = ..., offence: _Optional[str] = ..., bank: _Optional[int] = ..., offence_height: _Optional[int] = ..., status: _Optional[_Union[EvidenceStatus, str]] = ..., recorded_height: _Optional[int] = ..., penalty: _Optional[int] = ..., item: _Optional[bytes] = ...) -> None: ...

class ListTreasuryRequest(_message.Message):
    __slots__ = ("from_sequence", "limit", "fiscal_year")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FISCAL_YEAR_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    limit: int
    fiscal_year: int
    def __init__(self, from_sequence: _Optional[int] = ..., limit: _Optional[int] = ..., fiscal_year: _Optional[int] = ...) -> None: ...

class TreasuryPage(_message.Message):
    __slots__ = ("movements",)
    MOVEMENTS_FIELD_NUMBER: _ClassVar[int]
    movements: _containers.RepeatedCompositeFieldContainer[TreasuryMovement]
    def __init__(self, movements: _Optional[_Iterable[_Union[TreasuryMovement, _Mapping]]] = ...) -> None: ...

class TreasuryMovement(_message.Message):
    __slots__ = ("sequence", "height", "bank", "fiscal_year", "amount", "kind", "reason")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BANK_FIELD_NUMBER: _ClassVar[int]
    FISCAL_YEAR_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    height: int
    bank: int
    fiscal_year: int
    amount: int
    kind: str
    reason: str
    def __init__(self, sequence: _Optional[int] = ..., height: _Optional[int] = ..., bank: _Optional[int] = ..., fiscal_year: _Optional[int] = ..., amount: _Optional[int] = ..., kind: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class GetVotesRequest(_message.Message):
    __slots__ = ("height", "include_ballots")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_BALLOTS_FIELD_NUMBER: _ClassVar[int]
    height: int
    include_ballots: bool
    def __init__(self, height: _Optional[int] = ..., include_ballots: _Optional[bool] = ...) -> None: ...

class ListVotesRequest(_message.Message):
    __slots__ = ("from_height", "limit", "include_ballots")
    FROM_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_BALLOTS_FIELD_NUMBER: _ClassVar[int]
    from_height: int
    limit: int
    include_ballots: bool
    def __init__(self, from_height: _Optional[int] = ..., limit: _Optional[int] = ..., include_ballots: _Optional[bool] = ...) -> None: ...

class BlockVotes(_message.Message):
    __slots__ = ("height", "block_id", "time_ms", "status", "approved", "rejected", "votes")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    APPROVED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    height: int
    block_id: bytes
    time_ms: int
    status: VotingStatus
    approved: int
    rejected: int
    votes: _containers.RepeatedCompositeFieldContainer[RecordedVote]
    def __init__(self, height: _Optional[int] = ..., block_id: _Optional[bytes] = ..., time_ms: _Optional[int] = ..., status: _Optional[_Union[VotingStatus, str]] = ..., approved: _Optional[int] = ..., rejected: _Optional[int] = ..., votes: _Optional[_Iterable[_Union[RecordedVote, _Mapping]]] = ...) -> None: ...

class RecordedVote(_message.Message):
    __slots__ = ("tag", "approve", "ballot")
    TAG_FIELD_NUMBER: _ClassVar[int]
    APPROVE_FIELD_NUMBER: _ClassVar[int]
    BALLOT_FIELD_NUMBER: _ClassVar[int]
    tag: bytes
    approve: bool
    ballot: bytes
    def __init__(self, tag: _Optional[bytes] = ..., approve: _Optional[bool] = ..., ballot: _Optional[bytes] = ...) -> None: ...

class ListSettlementsRequest(_message.Message):
    __slots__ = ("from_year", "limit")
    FROM_YEAR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    from_year: int
    limit: int
    def __init__(self, from_year: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class SettlementPage(_message.Message):
    __slots__ = ("settlements",)
    SETTLEMENTS_FIELD_NUMBER: _ClassVar[int]
    settlements: _containers.RepeatedCompositeFieldContainer[SettledYear]
    def __init__(self, settlements: _Optional[_Iterable[_Union[SettledYear, _Mapping]]] = ...) -> None: ...

class SettledYear(_message.Message):
    __slots__ = ("fiscal_year", "height", "transaction_id", "pot", "carried", "shares")
    class Share(_message.Message):
        __slots__ = ("bank", "count", "reward")
        BANK_FIELD_NUMBER: _ClassVar[int]
        COUNT_FIELD_NUMBER: _ClassVar[int]
        REWARD_FIELD_NUMBER: _ClassVar[int]
        bank: int
        count: int
        reward: int
        def __init__(self, bank: _Optional[int] = ..., count: _Optional[int] = ..., reward: _Optional[int] = ...) -> None: ...
    FISCAL_YEAR_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    POT_FIELD_NUMBER: _ClassVar[int]
    CARRIED_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    fiscal_year: int
    height: int
    transaction_id: bytes
    pot: int
    carried: int
    shares: _containers.RepeatedCompositeFieldContainer[SettledYear.Share]
    def __init__(self, fiscal_year: _Optional[int] = ..., height: _Optional[int] = ..., transaction_id: _Optional[bytes] = ..., pot: _Optional[int] = ..., carried: _Optional[int] = ..., shares: _Optional[_Iterable[_Union[SettledYear.Share, _Mapping]]] = ...) -> None: ...

class ListBallotConflictsRequest(_message.Message):
    __slots__ = ("from_sequence", "limit")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    limit: int
    def __init__(self, from_sequence: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class BallotConflictPage(_message.Message):
    __slots__ = ("conflicts",)
    CONFLICTS_FIELD_NUMBER: _ClassVar[int]
    conflicts: _containers.RepeatedCompositeFieldContainer[BallotConflict]
    def __init__(self, conflicts: _Optional[_Iterable[_Union[BallotConflict, _Mapping]]] = ...) -> None: ...

class BallotConflict(_message.Message):
    __slots__ = ("sequence", "height", "view", "first", "second")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    height: int
    view: int
    first: bytes
    second: bytes
    def __init__(self, sequence: _Optional[int] = ..., height: _Optional[int] = ..., view: _Optional[int] = ..., first: _Optional[bytes] = ..., second: _Optional[bytes] = ...) -> None: ...

class GetParametersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetParametersResponse(_message.Message):
    __slots__ = ("genesis_json", "chain_id", "height", "ring_base", "transfer_fee", "bin_age_ms", "max_expiry_heights")
    GENESIS_JSON_FIELD_NUMBER: _ClassVar[int]
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RING_BASE_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FEE_FIELD_NUMBER: _ClassVar[int]
    BIN_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_EXPIRY_HEIGHTS_FIELD_NUMBER: _ClassVar[int]
    genesis_json: bytes
    chain_id: bytes
    height: int
    ring_base: int
    transfer_fee: int
    bin_age_ms: int
    max_expiry_heights: int
    def __init__(self, genesis_json: _Optional[bytes] = ..., chain_id: _Optional[bytes] = ..., height: _Optional[int] = ..., ring_base: _Optional[int] = ..., transfer_fee: _Optional[int] = ..., bin_age_ms: _Optional[int] = ..., max_expiry_heights: _Optional[int] = ...) -> None: ...

class GetNodeStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetNodeStatusResponse(_message.Message):
    __slots__ = ("bank", "bank_name", "software_version", "chain_id", "height", "block_id", "time_ms", "mempool_transactions", "ready", "linked_banks", "quorum")
    BANK_FIELD_NUMBER: _ClassVar[int]
    BANK_NAME_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    MEMPOOL_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    LINKED_BANKS_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    bank: int
    bank_name: str
    software_version: str
    chain_id: bytes
    height: int
    block_id: bytes
    time_ms: int
    mempool_transactions: int
    ready: bool
    linked_banks: int
    quorum: int
    def __init__(self, bank: _Optional[int] = ..., bank_name: _Optional[str] = ..., software_version: _Optional[str] = ..., chain_id: _Optional[bytes] = ..., height: _Optional[int] = ..., block_id: _Optional[bytes] = ..., time_ms: _Optional[int] = ..., mempool_transactions: _Optional[int] = ..., ready: _Optional[bool] = ..., linked_banks: _Optional[int] = ..., quorum: _Optional[int] = ...) -> None: ...
