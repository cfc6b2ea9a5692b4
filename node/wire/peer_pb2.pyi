from node.wire import ledger_pb2 as _ledger_pb2
from node.wire import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PeerFrame(_message.Message):
    __slots__ = ("hello", "consensus_messages", "transactions", "unverified_transactions")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CONSENSUS_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    UNVERIFIED_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    consensus_messages: _containers.RepeatedScalarFieldContainer[bytes]
    transactions: _containers.RepeatedScalarFieldContainer[bytes]
    unverified_transactions: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., consensus_messages: _Optional[_Iterable[bytes]] = ..., transactions: _Optional[_Iterable[bytes]] = ..., unverified_transactions: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("chain_id", "bank", "software_version", "height")
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    BANK_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    chain_id: bytes
    bank: int
    software_version: str
    height: int
    def __init__(self, chain_id: _Optional[bytes] = ..., bank: _Optional[int] = ..., software_version: _Optional[str] = ..., height: _Optional[int] = ...) -> None: ...

class PeerAcknowledgement(_message.Message):
    __slots__ = ("hello", "frames")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    frames: int
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., frames: _Optional[int] = ...) -> None: ...

class FetchTransactionsRequest(_message.Message):
    __slots__ = ("transaction_ids",)
    TRANSACTION_IDS_FIELD_NUMBER: _ClassVar[int]
    transaction_ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, transaction_ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class FetchTransactionsResponse(_message.Message):
    __slots__ = ("transactions",)
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    transactions: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, transactions: _Optional[_Iterable[bytes]] = ...) -> None: ...

class FetchBlocksRequest(_message.Message):
    __slots__ = ("from_height",)
    FROM_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    from_height: int
    def __init__(self, from_height: _Optional[int] = ...) -> None: ...

class FetchBlocksResponse(_message.Message):
    __slots__ = ("blocks", "top")
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    blocks: _containers.RepeatedCompositeFieldContainer[_types_pb2.SealedBlock]
    top: int
    def __init__(self, blocks: _Optional[_Iterable[_Union[_types_pb2.SealedBlock, _Mapping]]] = ..., top: _Optional[int] = ...) -> None: ...

class FetchBlockRequest(_message.Message):
    __slots__ = ("block_id",)
    BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    block_id: bytes
    def __init__(self, block_id: _Optional[bytes] = ...) -> None: ...

class FetchBlockResponse(_message.Message):
    __slots__ = ("block",)
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    block: bytes
    def __init__(self, block: _Optional[bytes] = ...) -> None: ...

class FetchSnapshotRequest(_message.Message):
    __slots__ = ("minimum_height",)
    MINIMUM_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    minimum_height: int
    def __init__(self, minimum_height: _Optional[int] = ...) -> None: ...

class SnapshotPart(_message.Message):
    __slots__ = ("start", "headers", "notes", "nullifiers", "closed_bins", "treasury")
    START_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    NULLIFIERS_FIELD_NUMBER: _ClassVar[int]
    CLOSED_BINS_FIELD_NUMBER: _ClassVar[int]
    TREASURY_FIELD_NUMBER: _ClassVar[int]
    start: SnapshotStart
    headers: bytes
    notes: bytes
    nullifiers: bytes
    closed_bins: bytes
    treasury: _ledger_pb2.TreasuryPage
    def __init__(self, start: _Optional[_Union[SnapshotStart, _Mapping]] = ..., headers: _Optional[bytes] = ..., notes: _Optional[bytes] = ..., nullifiers: _Optional[bytes] = ..., closed_bins: _Optional[bytes] = ..., treasury: _Optional[_Union[_ledger_pb2.TreasuryPage, _Mapping]] = ...) -> None: ...

class SnapshotStart(_message.Message):
    __slots__ = ("tip", "treasury_rows")
    TIP_FIELD_NUMBER: _ClassVar[int]
    TREASURY_ROWS_FIELD_NUMBER: _ClassVar[int]
    tip: _types_pb2.SealedState
    treasury_rows: int
    def __init__(self, tip: _Optional[_Union[_types_pb2.SealedState, _Mapping]] = ..., treasury_rows: _Optional[int] = ...) -> None: ...
